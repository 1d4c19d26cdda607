package xds_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/xds"
)

func TestADS(t *testing.T) {
	m := newMain(t)
	s := newServer(t, m, true)
	s.set(listener("l1", 1), listener("l2", 2), cluster("c1"), route("r1", "a"), assignment("c1", "10.0.0.1", 80))
	c := newClient(t, m, bootstrapFor(s.addr))

	lds := subscribe(t, c, adsSource(), xds.ListenerType)
	cds := subscribe(t, c, adsSource(), xds.ClusterType)
	m.until("listeners", lds.is("1", "l1", "l2"))
	m.until("clusters", cds.is("1", "c1"))
	rds := subscribe(t, c, adsSource(), xds.RouteType, "r1")
	eds := subscribe(t, c, adsSource(), xds.EndpointType, "c1")
	m.until("routes", rds.is("1", "r1"))
	m.until("endpoints", eds.is("1", "c1"))
	for _, url := range []string{xds.ListenerType, xds.ClusterType, xds.RouteType, xds.EndpointType} {
		s.ack(url, "1")
	}
	if l, ok := lds.now["l1"].Message.(*listenerv3.Listener); !ok || l.Name != "l1" {
		t.Errorf("l1 is %v", lds.now["l1"].Message)
	}

	s.set(listener("l2", 2), cluster("c1"), route("r1", "b"), assignment("c1", "10.0.0.1", 80))
	m.until("l1 is gone", lds.is("2", "l2"))
	m.until("routes", rds.is("2", "r1"))
	s.ack(xds.EndpointType, "2")
	if eds.updates != 1 {
		t.Errorf("endpoints did not change, yet %d updates", eds.updates)
	}
	if n := s.methods[""]; n != 1 || len(s.methods) != 1 {
		t.Errorf("streams %v, want one for all", s.methods)
	}
	if node := s.last(xds.ListenerType).Node; node.GetUserAgentName() != "weir" || node.GetId() != "node" {
		t.Errorf("node %v", node)
	}
	st := lds.Status()
	if st.Version != "2" || st.Rejected != nil || st.Updated.IsZero() {
		t.Errorf("status %+v", st)
	}
	if lds.stats["update_success"] != 2 || lds.stats["update_attempt"] != 3 {
		t.Errorf("stats %v", lds.stats)
	}
}

func TestSeparateStreams(t *testing.T) {
	m := newMain(t)
	s := newServer(t, m, false)
	s.set(listener("l", 1), cluster("c"), route("r1", "a"), route("r2", "b"), assignment("c", "10.0.0.1", 80))
	c := newClient(t, m, bootstrapFor(s.addr))
	lds := subscribe(t, c, separateSource(), xds.ListenerType)
	cds := subscribe(t, c, separateSource(), xds.ClusterType)
	r1 := subscribe(t, c, separateSource(), xds.RouteType, "r1")
	r2 := subscribe(t, c, separateSource(), xds.RouteType, "r2")
	eds := subscribe(t, c, separateSource(), xds.EndpointType, "c")
	m.until("listeners", lds.is("1", "l"))
	m.until("clusters", cds.is("1", "c"))
	m.until("r1", r1.is("1", "r1"))
	m.until("r2", r2.is("1", "r2"))
	m.until("endpoints", eds.is("1", "c"))
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.methods) != 4 || s.methods[xds.RouteType] != 1 {
		t.Errorf("streams %v, want one a type", s.methods)
	}
}

func TestNack(t *testing.T) {
	m := newMain(t)
	s := newServer(t, m, true)
	s.set(route("r", "a"), listener("l", 1))
	c := newClient(t, m, bootstrapFor(s.addr))
	rds := subscribe(t, c, adsSource(), xds.RouteType, "r")
	lds := subscribe(t, c, adsSource(), xds.ListenerType)
	m.until("routes", rds.is("1", "r"))
	m.until("listeners", lds.is("1", "l"))
	s.ack(xds.RouteType, "1")
	s.ack(xds.ListenerType, "1")

	// Refused by validation.
	bad := route("r", "a")
	bad.VirtualHosts[0].Name = ""
	lds.refuse = errors.New("l: no such filter")
	s.set(bad, listener("l", 2))
	m.until("NACK of routes", func() bool { return s.last(xds.RouteType).ErrorDetail != nil })
	nack := s.last(xds.RouteType)
	const want = "r: virtual_hosts[0].name: value length must be at least 1 runes"
	if nack.ErrorDetail.Message != want || nack.VersionInfo != "1" || nack.ResponseNonce == "" {
		t.Errorf("NACK %v, want version 1 and %q", nack, want)
	}
	if len(rds.failures) == 0 || rds.failures[0] != xds.Rejected {
		t.Errorf("failures %v", rds.failures)
	}
	st := rds.Status()
	if st.Version != "1" || st.Rejected == nil || st.Rejected.Version != "2" || st.Rejected.Err.Error() != want {
		t.Errorf("status %+v", st)
	}

	// Refused by the consumer.
	m.until("NACK of listeners", func() bool { return s.last(xds.ListenerType).ErrorDetail != nil })
	if nack := s.last(xds.ListenerType); nack.ErrorDetail.Message != "l: no such filter" || nack.VersionInfo != "1" {
		t.Errorf("NACK %v", nack)
	}
	if lds.stats["update_rejected"] == 0 {
		t.Errorf("stats %v", lds.stats)
	}

	// A good one is taken again.
	lds.refuse = nil
	s.set(route("r", "b"), listener("l", 3))
	s.ack(xds.RouteType, "3")
	s.ack(xds.ListenerType, "3")
	if rds.Status().Rejected != nil {
		t.Errorf("status %+v", rds.Status())
	}
}

func TestReconnect(t *testing.T) {
	m := newMain(t)
	s := newServer(t, m, true)
	s.set(listener("l", 1), route("r", "a"))
	c := newClient(t, m, bootstrapFor(s.addr))
	lds := subscribe(t, c, adsSource(), xds.ListenerType)
	rds := subscribe(t, c, adsSource(), xds.RouteType, "r")
	m.until("listeners", lds.is("1", "l"))
	m.until("routes", rds.is("1", "r"))
	s.ack(xds.RouteType, "1")

	s.grpc.Stop()
	m.until("the loss is noticed", func() bool { return lds.stats["update_failure"] > 0 })
	s.mu.Lock()
	s.requests = nil
	s.mu.Unlock()
	s.start(s.addr)
	m.until("asked again", func() bool { return s.last(xds.ListenerType) != nil && s.last(xds.RouteType) != nil })
	first := s.requests[0]
	if first.VersionInfo != "1" || first.ResponseNonce != "" || first.Node == nil {
		t.Errorf("first request on the new stream: %v", first)
	}
	// The server tells who asks for all listeners of them again, if late.
	if rds.updates != 1 {
		t.Errorf("routes: %d updates, one of them by nothing new", rds.updates)
	}
	s.set(listener("l", 1), listener("m", 2), route("r", "b"))
	m.until("listeners", lds.is("2", "l", "m"))
	m.until("routes", rds.is("2", "r"))
}

func TestNamesChange(t *testing.T) {
	m := newMain(t)
	s := newServer(t, m, false)
	s.set(route("r1", "a"), route("r2", "b"), route("r3", "c"))
	c := newClient(t, m, bootstrapFor(s.addr))
	w := subscribe(t, c, adsSource(), xds.RouteType, "r1")
	m.until("r1", w.is("1", "r1"))
	w.Update([]string{"r2", "r3"})
	m.until("r2 and r3", w.is("1", "r2", "r3"))
	if got := s.last(xds.RouteType).ResourceNames; !slices.Equal(got, []string{"r2", "r3"}) {
		t.Errorf("asked for %q", got)
	}

	// Another watcher of a known name is served without asking the server.
	s.ack(xds.RouteType, "1")
	before := s.count(xds.RouteType)
	other := subscribe(t, c, adsSource(), xds.RouteType, "r2")
	m.until("r2 for the second", other.is("1", "r2"))
	m.idle(50 * time.Millisecond)
	if n := s.count(xds.RouteType); n != before {
		t.Errorf("%d more requests for a name that is known", n-before)
	}

	// It is asked for as long as one of them watches it.
	w.Close()
	m.until("r3 is not asked for", func() bool { return slices.Equal(s.last(xds.RouteType).ResourceNames, []string{"r2"}) })
	s.set(route("r1", "a"), route("r2", "bb"), route("r3", "c"))
	m.until("r2 again", func() bool { return other.updates == 2 })
	if r := other.now["r2"].Message.(*routev3.RouteConfiguration); r.VirtualHosts[0].Domains[0] != "bb" {
		t.Errorf("r2 is %v", r)
	}
	if w.updates != 2 {
		t.Errorf("a closed subscription was updated")
	}
}

func TestPauseMakesOneRequest(t *testing.T) {
	m := newMain(t)
	s := newServer(t, m, true)
	s.set(cluster("c1"), cluster("c2"), assignment("c1", "10.0.0.1", 1), assignment("c2", "10.0.0.2", 2))
	c := newClient(t, m, bootstrapFor(s.addr))
	cds := subscribe(t, c, adsSource(), xds.ClusterType)
	m.until("clusters", cds.is("1", "c1", "c2"))
	resume := c.Pause(xds.EndpointType)
	again := c.Pause(xds.EndpointType)
	e1 := subscribe(t, c, adsSource(), xds.EndpointType, "c1")
	m.idle(50 * time.Millisecond)
	e2 := subscribe(t, c, adsSource(), xds.EndpointType, "c2")
	again()
	again()
	m.idle(50 * time.Millisecond)
	if n := s.count(xds.EndpointType); n != 0 {
		t.Errorf("%d requests while paused", n)
	}
	resume()
	m.until("endpoints", func() bool { return e1.is("1", "c1")() && e2.is("1", "c2")() })
	s.ack(xds.EndpointType, "1")
	if n := s.count(xds.EndpointType); n != 2 {
		t.Errorf("%d requests, want one and its ACK", n)
	}
}

func TestInitialFetchTimeout(t *testing.T) {
	m := newMain(t)
	s := newServer(t, m, true) // knows nothing of the node: silent
	c := newClient(t, m, bootstrapFor(s.addr))
	short, never := adsSource(), adsSource()
	short.InitialFetchTimeout = seconds(0.1)
	never.InitialFetchTimeout = seconds(0)
	w := subscribe(t, c, short, xds.ListenerType)
	n := subscribe(t, c, never, xds.ClusterType)
	m.until("the timeout", func() bool { return len(w.failures) > 0 })
	m.idle(200 * time.Millisecond)
	if !slices.Equal(w.failures, []xds.Failure{xds.TimedOut}) || w.stats["init_fetch_timeout"] != 1 {
		t.Errorf("failures %v, stats %v", w.failures, w.stats)
	}
	if len(n.failures) > 0 {
		t.Errorf("failures %v though the timeout is off", n.failures)
	}
	s.set(listener("l", 1))
	m.until("the late update", w.is("1", "l"))
}

// A subscription to no name must not be read as one to all.
func TestNoNames(t *testing.T) {
	m := newMain(t)
	s := newServer(t, m, true)
	s.set(listener("l", 1), route("r", "a"))
	c := newClient(t, m, bootstrapFor(s.addr))
	lds := subscribe(t, c, adsSource(), xds.ListenerType)
	rds := subscribe(t, c, adsSource(), xds.RouteType, []string{}...)
	m.until("listeners", lds.is("1", "l"))
	s.ack(xds.ListenerType, "1")
	if n := s.count(xds.RouteType); n != 0 {
		t.Errorf("%d requests for no name", n)
	}
	rds.Update([]string{"r"})
	m.until("routes", rds.is("1", "r"))
}

func TestUnsubscribe(t *testing.T) {
	m := newMain(t)
	s := newServer(t, m, true)
	s.set(listener("l", 1), route("r", "a"))
	c := newClient(t, m, bootstrapFor(s.addr))
	lds := subscribe(t, c, adsSource(), xds.ListenerType)
	rds := subscribe(t, c, adsSource(), xds.RouteType, "r")
	m.until("routes", rds.is("1", "r"))
	s.ack(xds.RouteType, "1")
	rds.Close()
	m.until("unsubscribed", func() bool { return len(s.last(xds.RouteType).ResourceNames) == 0 })
	again := subscribe(t, c, adsSource(), xds.RouteType, "r")
	m.until("subscribed anew", again.is("1", "r"))
	again.Close()
	lds.Close()
	lds.Close()
	m.idle(20 * time.Millisecond)
	back := subscribe(t, c, adsSource(), xds.ListenerType)
	m.until("a new stream", back.is("1", "l"))
}

func TestManagementServerByDNSNameAndSocket(t *testing.T) {
	m := newMain(t)
	s := newServer(t, m, true)
	s.set(listener("l", 1))
	b := bootstrapFor("localhost" + s.addr[strings.LastIndexByte(s.addr, ':'):])
	lds := subscribe(t, newClient(t, m, b), adsSource(), xds.ListenerType)
	m.until("listeners", lds.is("1", "l"))
}

// go-control-plane answers a NACK with the same resources at once. That must
// not become a loop.
func TestNackLoopIsSlowed(t *testing.T) {
	m := newMain(t)
	s := newServer(t, m, true)
	s.set(listener("l", 1))
	c := newClient(t, m, bootstrapFor(s.addr))
	lds := subscribe(t, c, adsSource(), xds.ListenerType)
	lds.refuse = errors.New("no")
	m.until("NACKs", func() bool { return lds.stats["update_rejected"] >= 3 })
	m.idle(300 * time.Millisecond)
	if n := lds.updates; n > 6 {
		t.Errorf("%d updates in 0.3 s", n)
	}
	lds.refuse = nil
	s.set(listener("l", 2))
	m.until("the good one", lds.is("2", "l"))
}

// TestLongNack: an error that is cut within a character is sent all the same.
func TestLongNack(t *testing.T) {
	m := newMain(t)
	s := newServer(t, m, true)
	s.set(listener("l", 1))
	lds := subscribe(t, newClient(t, m, bootstrapFor(s.addr)), adsSource(), xds.ListenerType)
	lds.refuse = errors.New("x" + strings.Repeat("é", 4000))
	m.until("a NACK", func() bool { return s.last(xds.ListenerType).GetErrorDetail() != nil })
	if got := s.last(xds.ListenerType).ErrorDetail.Message; len(got) < 4000 || len(got) > 4200 || !strings.HasPrefix(got, "xéé") {
		t.Errorf("%d bytes: %.20s", len(got), got)
	}
}

func TestDelta(t *testing.T) {
	m := newMain(t)
	s := newServer(t, m, true)
	s.set(listener("l1", 1), listener("l2", 2), cluster("c1"), route("r1", "a"), route("r2", "a"))
	b := bootstrapFor(s.addr)
	b.DynamicResources.AdsConfig.ApiType = corev3.ApiConfigSource_DELTA_GRPC
	c := newClient(t, m, b)

	lds := subscribe(t, c, adsSource(), xds.ListenerType)
	rds := subscribe(t, c, adsSource(), xds.RouteType, "r1")
	m.until("listeners", lds.has("l1", "l2"))
	m.until("routes", rds.has("r1"))

	s.set(listener("l2", 3), listener("l3", 3), cluster("c1"), route("r1", "b"), route("r2", "a"))
	m.until("l1 is gone and l3 here", lds.has("l2", "l3"))
	if l := lds.now["l2"].Message.(*listenerv3.Listener); l.GetAddress().GetSocketAddress().GetPortValue() != 3 {
		t.Errorf("l2 did not change: %v", l)
	}
	m.until("routes", func() bool { return rds.updates == 2 })

	// A name that is asked for later is subscribed to, and comes.
	more := subscribe(t, c, adsSource(), xds.RouteType, "r2")
	m.until("another route", more.has("r2"))

	// What the server has removed is not given to those who ask for it later.
	s.set(listener("l2", 3), listener("l3", 3), cluster("c1"), route("r1", "b"))
	m.until("r2 is gone", func() bool { return len(more.removed) == 1 })
	late := subscribe(t, c, adsSource(), xds.RouteType, "r2")
	m.idle(20 * time.Millisecond)
	if late.updates != 0 {
		t.Errorf("a removed route is given: %v", late.now)
	}

	// After the stream is lost the server sends only what is not here.
	updates := lds.updates
	s.grpc.Stop()
	s.start(s.addr)
	s.set(listener("l2", 3), listener("l3", 4), cluster("c1"), route("r1", "b"), route("r2", "a"))
	m.until("listeners again", func() bool {
		l, ok := lds.now["l3"].Message.(*listenerv3.Listener)
		return ok && l.GetAddress().GetSocketAddress().GetPortValue() == 4 && lds.has("l2", "l3")()
	})
	if lds.updates == updates {
		t.Error("no update")
	}
}

func TestREST(t *testing.T) {
	m := newMain(t)
	s := newServer(t, m, false)
	s.set(listener("l1", 1), cluster("c1"))
	gateway := httptest.NewServer(restGateway{s})
	t.Cleanup(gateway.Close)
	api := &corev3.ApiConfigSource{ApiType: corev3.ApiConfigSource_REST, TransportApiVersion: corev3.ApiVersion_V3, ClusterNames: []string{"xds"}, RefreshDelay: seconds(0.001)}
	src := &corev3.ConfigSource{ConfigSourceSpecifier: &corev3.ConfigSource_ApiConfigSource{ApiConfigSource: api}, ResourceApiVersion: corev3.ApiVersion_V3}
	c := newClient(t, m, bootstrapFor(gateway.Listener.Addr().String()))
	lds := subscribe(t, c, src, xds.ListenerType)
	m.until("listeners", lds.has("l1"))
	s.set(listener("l2", 1), cluster("c1"))
	m.until("other listeners", lds.has("l2"))
}

func TestTLS(t *testing.T) {
	m := newMain(t)
	s := newServer(t, m, true)
	web := httptest.NewTLSServer(nil) // for its certificate
	web.Close()
	s.grpc.Stop()
	s.options = []grpc.ServerOption{grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: web.TLS.Certificates}))}
	s.start("127.0.0.1:0")
	s.set(listener("l1", 1))
	b := bootstrapFor(s.addr)
	context, err := anypb.New(&tlsv3.UpstreamTlsContext{Sni: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	b.StaticResources.Clusters[0].TransportSocket = &corev3.TransportSocket{Name: "tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: context}}
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	ready := false
	c, err := xds.New(xds.Options{Bootstrap: b, Post: m.post, Secure: func(p field.Path, _ *corev3.TransportSocket) (func() *tls.Config, error) {
		if p != "transport_socket.typed_config" {
			t.Errorf("path %s", p)
		}
		return func() *tls.Config {
			if !ready { // as while a secret is missing
				ready = true
				return nil
			}
			return &tls.Config{RootCAs: roots, ServerName: "example.com", NextProtos: []string{"h2"}}
		}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	lds := subscribe(t, c, adsSource(), xds.ListenerType)
	m.until("listeners", lds.has("l1"))
}
