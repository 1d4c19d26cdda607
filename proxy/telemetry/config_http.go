package telemetry

import (
	"net/url"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/internal/field"
)

// HTTPService is the server of an HttpService at p that takes OpenTelemetry's
// protobuf messages, what requests to it have in common, and how long one may
// take (0: it doesn't say).
func HTTPService(p field.Path, m *corev3.HttpService, clients Clients) (server HTTP, r Request, timeout time.Duration, err error) {
	if err := field.Only(p, m, "http_uri", "request_headers_to_add"); err != nil {
		return nil, r, 0, err
	}
	uri := p.Dot("http_uri")
	if err := field.Only(uri, m.GetHttpUri(), "uri", "cluster", "timeout"); err != nil {
		return nil, r, 0, err
	}
	u, err := url.Parse(m.GetHttpUri().GetUri())
	if err != nil || u.Host == "" {
		return nil, r, 0, uri.Dot("uri").Errorf("%q is not a URL", m.GetHttpUri().GetUri())
	}
	r = Request{Host: u.Host, Path: u.RequestURI(), Headers: [][2]string{{"content-type", "application/x-protobuf"}}}
	for i, h := range m.GetRequestHeadersToAdd() {
		if err := field.Only(p.Dot("request_headers_to_add").Index(i), h, "header"); err != nil {
			return nil, r, 0, err
		}
		r.Headers = append(r.Headers, [2]string{h.GetHeader().GetKey(), h.GetHeader().GetValue() + string(h.GetHeader().GetRawValue())})
	}
	return clients.HTTP(m.GetHttpUri().GetCluster()), r, m.GetHttpUri().GetTimeout().AsDuration(), nil
}
