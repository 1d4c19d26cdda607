package tracing

import (
	"strings"
	"testing"
	"time"

	"github.com/weirproxy/weir/proxy/http"
)

// TestSkyWalkingHeader: what a try sends is what the next proxy reads; a header
// that can't be read is none.
func TestSkyWalkingHeader(t *testing.T) {
	f := skyWalking{service: "svc", instance: "inst"}
	tracer := &Tracer{format: f, begin: beginSkyWalking, byPath: true}
	h := &http.HeaderMap{}
	h.Add(http.Path, "/a?q")
	entry := tracer.start(0, h, "ingress", Server, true, time.Now())
	f.inject(h, entry)
	if h.Has(http.LookupID("sw8")) {
		t.Error("the entry span is passed on; only tries are")
	}
	try := entry.Spawn("router", time.Now())
	try.peer = "10.0.0.1:80"
	f.inject(h, try)
	c, found, ok := f.extract(h)
	if !found || !ok {
		t.Fatal("the header is not read")
	}
	want := skyReference{traceID: entry.sky.traceID, segment: entry.sky.id, service: "svc", instance: "inst", endpoint: "/a?q", peer: "10.0.0.1:80", span: 1}
	if *c.sky.ref != want {
		t.Errorf("%+v, want %+v", *c.sky.ref, want)
	}
	next := beginSkyWalking(nil, &c, true)
	if next.sky.traceID != entry.sky.traceID || next.sky.id == entry.sky.id {
		t.Errorf("the next segment is %+v", next.sky)
	}
	for _, bad := range []string{"", "1", "1-a", "2-YQ==-YQ==-1-YQ==-YQ==-YQ==-YQ==", "1-YQ==-YQ==-x-YQ==-YQ==-YQ==-YQ==", "1-?-YQ==-1-YQ==-YQ==-YQ==-YQ==", "1--YQ==-1-YQ==-YQ==-YQ==-YQ=="} {
		if _, ok := parseSW8(bad); ok {
			t.Errorf("%q is read", bad)
		}
	}
}

// TestSkyWalkingSegment: a segment is complete with its entry span, and has the
// spans of tries.
func TestSkyWalkingSegment(t *testing.T) {
	tracer := &Tracer{format: skyWalking{}, begin: beginSkyWalking, byPath: true}
	h := &http.HeaderMap{}
	h.Add(http.Path, "/a")
	entry := tracer.start(0, h, "", Server, true, time.Now())
	try := entry.Spawn("", time.Now())
	try.SetTag("peer.address", "1.2.3.4:5")
	try.SetTag("error", "true")
	if g := entry.sky; g.add(try) || !g.add(entry) {
		t.Error("the segment is complete with the entry span, and not before")
	}
	text := string(entry.sky.encode(skyWalking{service: "svc", instance: "inst"}))
	for _, want := range []string{entry.sky.traceID, entry.sky.id, "/a", "1.2.3.4:5", "svc", "inst"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %q", want, text)
		}
	}
	if strings.Contains(text, "peer.address") {
		t.Error("the peer is a field, not a tag")
	}
}
