package extproc

import (
	"net/url"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"

	"github.com/weirproxy/weir/internal/field"
)

// compileHTTP compiles an http_service, which is asked about heads only.
func compileHTTP(p field.Path, m *extprocv3.ExternalProcessor, mode mode) (*httpService, error) {
	for _, d := range mode {
		if d.body != none || d.trailers {
			return nil, p.Dot("processing_mode").Errorf("an http_service is sent neither bodies nor trailers")
		}
	}
	c, p := m.HttpService.GetHttpService(), p.Dot("http_service.http_service")
	if err := field.Only(p, c, "http_uri"); err != nil {
		return nil, err
	}
	u, err := url.Parse(c.GetHttpUri().GetUri())
	if err != nil || u.Host == "" {
		return nil, p.Dot("http_uri.uri").Errorf("%q is not a URI", c.GetHttpUri().GetUri())
	}
	return &httpService{cluster: c.GetHttpUri().GetCluster(), host: u.Host, path: u.RequestURI(), timeout: c.GetHttpUri().GetTimeout().AsDuration()}, nil
}
