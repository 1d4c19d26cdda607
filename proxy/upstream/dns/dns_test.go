package dns

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// zone is what the test's name server knows: "name type" to records.
type zone map[string][]string

// serve answers over UDP and TCP on one port. Names under big. are truncated
// over UDP; those under broken. get SERVFAIL.
func serve(t *testing.T, z zone) netip.AddrPort {
	t.Helper()
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		name := q.Question[0].Name
		switch {
		case strings.HasPrefix(name, "broken."):
			m.Rcode = dns.RcodeServerFailure
		case strings.HasPrefix(name, "big.") && w.LocalAddr().Network() == "udp":
			m.Truncated = true
		default:
			exists := false
			for key := range z {
				exists = exists || strings.HasPrefix(key, name+" ")
			}
			if !exists {
				m.Rcode = dns.RcodeNameError
			}
			for _, rr := range z[name+" "+dns.TypeToString[q.Question[0].Qtype]] {
				r, err := dns.NewRR(rr)
				if err != nil {
					t.Error(err)
				}
				m.Answer = append(m.Answer, r)
			}
		}
		w.WriteMsg(m)
	})
	pc, l := bothOnOnePort(t)
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: handler}, {Listener: l, Handler: handler}} {
		go s.ActivateAndServe()
	}
	t.Cleanup(func() { pc.Close(); l.Close() })
	return netip.MustParseAddrPort(pc.LocalAddr().String())
}

// bothOnOnePort listens for UDP and TCP on a port that is free for both.
func bothOnOnePort(t *testing.T) (net.PacketConn, net.Listener) {
	for range 20 {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", pc.LocalAddr().String())
		if err == nil {
			return pc, l
		}
		pc.Close()
	}
	t.Fatal("no port is free for UDP and TCP")
	return nil, nil
}

func TestLookup(t *testing.T) {
	server := serve(t, zone{
		"both.test. A":     {"both.test. 30 IN A 10.0.0.1", "both.test. 20 IN A 10.0.0.2"},
		"both.test. AAAA":  {"both.test. 30 IN AAAA fd00::1"},
		"four.test. A":     {"four.test. 5 IN CNAME x.test.", "x.test. 30 IN A 10.0.0.4"},
		"six.test. AAAA":   {"six.test. 30 IN AAAA fd00::6"},
		"empty.test. TXT":  {},
		"big.test. A":      {"big.test. 30 IN A 10.0.0.9"},
		"short.in.test. A": {"short.in.test. 30 IN A 10.0.0.8"},
	})
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte("# names\n10.9.9.9 Known.test other # four.test\n::1 known.test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	resolv := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(resolv, []byte("search in.test\nnameserver 192.0.2.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &System{Hosts: hosts, ResolvConf: resolv}
	for _, tt := range []struct {
		name   string
		family Family
		want   string
	}{
		{"both.test", Auto, "[fd00::1] 30s"},
		{"both.test", V4Only, "[10.0.0.1 10.0.0.2] 20s"},
		{"both.test", V6Only, "[fd00::1] 30s"},
		{"both.test", V4Preferred, "[10.0.0.1 10.0.0.2] 20s"},
		{"both.test", All, "[fd00::1 10.0.0.1 10.0.0.2] 20s"},
		{"four.test", Auto, "[10.0.0.4] 5s"},
		{"six.test", V4Preferred, "[fd00::6] 30s"},
		{"empty.test", V4Only, "[] 0s"},
		{"big.test", V4Only, "[10.0.0.9] 30s"},
		{"short", V4Only, "[10.0.0.8] 30s"},
		{"known.TEST", V4Only, "[10.9.9.9] 1m0s"},
		{"known.test", Auto, "[::1] 1m0s"},
		{"10.1.2.3", Auto, "[10.1.2.3] 1m0s"},
		{"none.test", Auto, "[] 0s"},
		{"broken.test", V4Only, "resolve broken.test: server " + server.String() + " answered SERVFAIL"},
	} {
		done := make(chan Answer, 1)
		s.Lookup(context.Background(), &Config{Servers: []netip.AddrPort{server}, Tries: 1}, tt.name, tt.family, func(a Answer) { done <- a })
		select {
		case a := <-done:
			got := fmt.Sprint(a.Addrs, " ", a.TTL)
			if a.Err != nil {
				got, _, _ = strings.Cut(a.Err.Error(), "\n")
			}
			if got != tt.want {
				t.Errorf("%s, family %d: %q, want %q", tt.name, tt.family, got, tt.want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: no answer", tt.name)
		}
	}
}

func TestTheNextServerIsAsked(t *testing.T) {
	good := serve(t, zone{"a.test. A": {"a.test. 30 IN A 10.0.0.1"}})
	dead, err := net.ListenPacket("udp", "127.0.0.1:0") // hears and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer dead.Close()
	s := &System{Hosts: os.DevNull}
	cfg := &Config{Servers: []netip.AddrPort{netip.MustParseAddrPort(dead.LocalAddr().String()), good}, Timeout: 50 * time.Millisecond, Tries: 1, NoSearch: true}
	if a := s.resolve(context.Background(), cfg, "a.test", V4Only); len(a.Addrs) != 1 {
		t.Errorf("%v, %v", a.Addrs, a.Err)
	}
}

func TestNoAnswerAfterCancellation(t *testing.T) {
	s := &System{Hosts: os.DevNull}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	called := make(chan Answer, 1)
	s.Lookup(ctx, &Config{}, "10.0.0.1", Auto, func(a Answer) { called <- a })
	select {
	case <-called:
		t.Error("called after its context had ended")
	case <-time.After(50 * time.Millisecond):
	}
}
