// Package datasource reads what a configuration holds inline, in a file or in
// the environment (envoy.config.core.v3.DataSource). Factories call it on
// main; a file is read once.
package datasource

import (
	"os"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/internal/field"
)

// Limit bounds what is read, in bytes: enough for lists and pages, not for
// what would bind memory.
const Limit = 1 << 20

// Read is the content of the DataSource at p. It fails for one that names
// nothing, and for more than Limit bytes.
func Read(p field.Path, c *corev3.DataSource) (string, error) {
	if err := field.Only(p, c, "filename", "inline_bytes", "inline_string", "environment_variable"); err != nil {
		return "", err
	}
	var content string
	switch s := c.GetSpecifier().(type) {
	case *corev3.DataSource_InlineString:
		content = s.InlineString
	case *corev3.DataSource_InlineBytes:
		content = string(s.InlineBytes)
	case *corev3.DataSource_EnvironmentVariable:
		v, ok := os.LookupEnv(s.EnvironmentVariable)
		if !ok {
			return "", p.Dot("environment_variable").Errorf("%q is not set", s.EnvironmentVariable)
		}
		content = v
	case *corev3.DataSource_Filename:
		info, err := os.Stat(s.Filename)
		if err != nil {
			return "", p.Dot("filename").Wrap(err)
		}
		if info.Size() > Limit {
			return "", p.Dot("filename").Errorf("%s has %d bytes; at most %d are allowed", s.Filename, info.Size(), Limit)
		}
		b, err := os.ReadFile(s.Filename)
		if err != nil {
			return "", p.Dot("filename").Wrap(err)
		}
		content = string(b)
	default:
		return "", p.Errorf("one of filename, inline_bytes, inline_string and environment_variable is required")
	}
	if len(content) > Limit {
		return "", p.Errorf("%d bytes; at most %d are allowed", len(content), Limit)
	}
	return content, nil
}
