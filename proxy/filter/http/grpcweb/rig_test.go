package grpcweb_test

import (
	"testing"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/grpcweb"
)

func TestCalls(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{}, "", filterrig.Filter("w", grpcweb.TypeURL, ""))
	const message = "\x00\x00\x00\x00\x01x"
	a := r.Do("POST", "/S/M", message, "content-type", "application/grpc-web", "x-do", "header=content-type:application/grpc;trailer=grpc-status:0;mirror")
	if want := message + "\x80\x00\x00\x00\x0fgrpc-status:0\r\n"; a.Body != want || a.Header.Get("content-type") != "application/grpc-web+proto" || len(a.Trailer) != 0 {
		t.Errorf("%+v, want %q", a, want)
	}
	a = r.Do("POST", "/S/M", "AAAAAAF4", "content-type", "application/grpc-web-text", "accept", "application/grpc-web-text", "x-do", "header=content-type:application/grpc;trailer=grpc-status:0;mirror")
	if want := "AAAAAAF4gAAAAA9ncnBjLXN0YXR1czowDQo="; a.Body != want || a.Header.Get("content-type") != "application/grpc-web-text+proto" {
		t.Errorf("%+v, want %q", a, want)
	}
	a = r.Do("POST", "/S/M", message, "content-type", "application/grpc-web", "x-do", "status=503;body=not that")
	if a.Status != 503 || a.Header.Get("grpc-status") != "14" || a.Header.Get("grpc-message") != "not that" || a.Body != "" {
		t.Errorf("not gRPC: %+v", a)
	}
	if a = r.Do("POST", "/S/M", "AA!A", "content-type", "application/grpc-web-text"); a.Status != 400 || a.Header.Get("grpc-status") != "13" {
		t.Errorf("not base64: %+v", a)
	}
	if a = r.Do("POST", "/S/M", "x", "content-type", "text/plain"); a.Sent("content-type") != "text/plain" || a.Sent("te") != "" {
		t.Errorf("another request is touched: %+v", a)
	}
	r.WantStat("cluster.u.grpc-web.S.M.success", "2")
}
