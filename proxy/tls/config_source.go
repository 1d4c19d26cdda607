package tls

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/datasource"
)

// maxSource bounds what a DataSource holds, in bytes: revocation lists of
// large authorities have megabytes.
const maxSource = 64 << 20

// readSource reads a DataSource whose watched_directory is the secrets'
// provider's to follow. from says where the bytes came from, as the admin
// interface shows it.
func readSource(p field.Path, d *corev3.DataSource) (data []byte, from string, err error) {
	if d.GetSpecifier() == nil {
		return nil, "", p.Errorf("no source")
	}
	text, err := datasource.ReadWatched(p, d, maxSource)
	if err != nil {
		return nil, "", err
	}
	if d.GetFilename() == "" {
		return []byte(text), "<inline>", nil
	}
	if text == "" {
		return nil, "", p.Dot("filename").Errorf("file %s is empty", d.GetFilename())
	}
	return []byte(text), d.GetFilename(), nil
}
