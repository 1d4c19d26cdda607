package tls

import (
	"fmt"
	"os"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/internal/field"
)

// readSource reads a DataSource. from says where the bytes came from, as the
// admin interface shows it.
func readSource(p field.Path, d *corev3.DataSource) (data []byte, from string, err error) {
	if err := field.Only(p, d, "filename", "inline_bytes", "inline_string", "environment_variable", "watched_directory"); err != nil {
		return nil, "", err
	}
	switch s := d.GetSpecifier().(type) {
	case *corev3.DataSource_Filename:
		data, err = os.ReadFile(s.Filename)
		if err == nil && len(data) == 0 {
			err = fmt.Errorf("file %s is empty", s.Filename)
		}
		return data, s.Filename, p.Dot("filename").Wrap(err)
	case *corev3.DataSource_InlineBytes:
		return s.InlineBytes, "<inline>", nil
	case *corev3.DataSource_InlineString:
		return []byte(s.InlineString), "<inline>", nil
	case *corev3.DataSource_EnvironmentVariable:
		v, ok := os.LookupEnv(s.EnvironmentVariable)
		if !ok {
			return nil, "", p.Dot("environment_variable").Errorf("%s is not set", s.EnvironmentVariable)
		}
		return []byte(v), "<inline>", nil
	}
	return nil, "", p.Errorf("no source")
}
