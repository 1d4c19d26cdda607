package ecds_test

import (
	"fmt"
	"io"
	stdhttp "net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/ecds"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// source is a Discovery of one configuration.
type source struct{ watchers []ecds.Watcher }

func (s *source) Watch(_ field.Path, _, _ string, _ *corev3.ConfigSource, w ecds.Watcher) (func(), error) {
	s.watchers = append(s.watchers, w)
	return func() { s.watchers = slices.DeleteFunc(s.watchers, func(o ecds.Watcher) bool { return o == w }) }, nil
}

// marker is a filter that adds its configuration, a string, to responses; it
// counts what is closed.
type marker struct {
	mu     sync.Mutex
	closed []string
}

const stringType = "type.googleapis.com/google.protobuf.StringValue"

func (m *marker) maker() http.FilterMaker {
	return http.FilterMaker{New: func(p field.Path, config *anypb.Any, _ *http.FactoryContext) (http.FilterFactory, error) {
		v := &wrapperspb.StringValue{}
		if err := config.UnmarshalTo(v); err != nil || v.Value == "bad" {
			return nil, p.Errorf("bad")
		}
		return &markerFactory{m, v.Value}, nil
	}}
}

type markerFactory struct {
	m     *marker
	value string
}

func (f *markerFactory) New(int, http.FilterCallbacks) http.StreamFilter { return &mark{f: f} }
func (f *markerFactory) Close() {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.m.closed = append(f.m.closed, f.value)
}

type mark struct {
	http.PassResponseBody
	f *markerFactory
}

func (m *mark) EncodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	h.AddName("x-mark", m.f.value)
	return http.HeadersContinue
}
func (*mark) EncodeData(*network.Buffer, bool) http.DataStatus { return http.DataContinue }
func (*mark) OnDestroy()                                       {}
func (*mark) Recycle()                                         {}

type rig struct {
	*httprig.Rig
	t      *testing.T
	source *source
	marker *marker
	more   chan struct{} // lets the upstream end /slow
}

func start(t *testing.T, discovery string) *rig {
	r := &rig{t: t, source: &source{}, marker: &marker{}, more: make(chan struct{})}
	r.Rig = httprig.New(t, httprig.Options{Discovery: r.source, Filters: map[string]http.FilterMaker{stringType: r.marker.maker()}})
	r.Cluster("u", "", r.Upstream(func(w stdhttp.ResponseWriter, q *stdhttp.Request) {
		if q.URL.Path == "/slow" {
			w.(stdhttp.Flusher).Flush()
			<-r.more
		}
	}))
	r.Serve(httprig.Routes(`{match: {prefix: /}, route: {cluster: u}}`) +
		`http_filters: [{name: f, config_discovery: {config_source: {ads: {}}, type_urls: [` + stringType + `]` + discovery +
		`}}, {name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]` + "\n")
	return r
}

func (r *rig) update(value string) (err error) {
	config, _ := anypb.New(wrapperspb.String(value))
	r.Main(func() { err = r.source.watchers[0].Update("f", config) })
	r.Settle()
	return err
}

func (r *rig) get(path string) *stdhttp.Response {
	r.t.Helper()
	addr := ""
	r.Main(func() { addr = r.Manager.Dump()[0].Addresses[0].String() })
	resp, err := stdhttp.Get("http://" + addr + path)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp
}

// want expects an answer's status and the filter's mark on it.
func (r *rig) want(status int, mark string) {
	r.t.Helper()
	resp := r.get("/")
	resp.Body.Close()
	if got := resp.Header.Get("x-mark"); resp.StatusCode != status || got != mark {
		r.t.Errorf("%d %q, want %d %q", resp.StatusCode, got, status, mark)
	}
}

func (r *rig) wantClosed(values ...string) {
	r.t.Helper()
	r.Settle()
	r.marker.mu.Lock()
	defer r.marker.mu.Unlock()
	if !slices.Equal(r.marker.closed, values) {
		r.t.Errorf("closed are %v, want %v", r.marker.closed, values)
	}
}

// TestUpdates: new streams have the newest configuration, and one under way
// keeps its own, which is closed when that stream has ended.
func TestUpdates(t *testing.T) {
	r := start(t, "")
	r.WantStat("listener_manager.total_listeners_warming", "1")
	r.update("1")
	r.WantStat("listener_manager.total_listeners_active", "1")
	r.want(200, "1")
	slow := r.get("/slow")
	r.update("2")
	r.want(200, "2")
	r.wantClosed()
	close(r.more)
	io.Copy(io.Discard, slow.Body)
	slow.Body.Close()
	if slow.Header.Get("x-mark") != "1" {
		t.Errorf("the stream under way has %v", slow.Header)
	}
	r.WantStat("http.in.downstream_rq_active", "0")
	r.wantClosed("1")
	if err := r.update("bad"); err == nil {
		t.Error("a bad configuration is taken")
	}
	r.want(200, "2")
	r.Main(func() { r.source.watchers[0].Gone() })
	r.Settle()
	r.want(500, "")
	r.wantClosed("1", "2")
}

// TestDefault: it serves while there is nothing else.
func TestDefault(t *testing.T) {
	for _, early := range []bool{false, true} {
		r := start(t, fmt.Sprintf(`, default_config: {"@type": %s, value: d}, apply_default_config_without_warming: %v`, stringType, early))
		if !early {
			r.WantStat("listener_manager.total_listeners_warming", "1")
			r.Main(func() { r.source.watchers[0].Missing() })
			r.Settle()
		}
		r.WantStat("listener_manager.total_listeners_active", "1")
		r.want(200, "d")
		r.update("1")
		r.want(200, "1")
		r.Main(func() { r.source.watchers[0].Missing() }) // what is there stays
		r.Settle()
		r.want(200, "1")
		r.Main(func() { r.source.watchers[0].Gone() })
		r.Settle()
		r.want(200, "d")
	}
}

func TestTypes(t *testing.T) {
	r := start(t, "")
	config, _ := anypb.New(wrapperspb.Bool(true))
	var err error
	r.Main(func() { err = r.source.watchers[0].Update("f", config) })
	if err == nil || !strings.Contains(err.Error(), "google.protobuf.BoolValue but expect [google.protobuf.StringValue]") {
		t.Error(err)
	}
}
