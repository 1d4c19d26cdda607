//go:build oracle

package oracle

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/set_metadata/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var identifier = &corev3.ControlPlane{Identifier: "script"}

// controlPlane serves every discovery service, aggregated and separate, by the
// same script: what it is asked comes out of asked, a line each.
type controlPlane struct {
	asked chan string
	mu    sync.Mutex
	open  []*dialogueStream
}

// dialogueStream is one that a proxy has open.
type dialogueStream struct {
	grpc.ServerStream
	service string // "" for ADS, else the one type's
	delta   bool
	types   map[string]bool
	end     chan struct{}
}

func newControlPlane() *controlPlane { return &controlPlane{asked: make(chan string, 1000)} }

func (c *controlPlane) options() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.UnknownServiceHandler(c.serve)}
}

func (c *controlPlane) serve(_ any, s grpc.ServerStream) error {
	full, _ := grpc.MethodFromServerStream(s)
	parts := strings.Split(full, "/")
	service, method := parts[1], parts[2]
	service = service[strings.LastIndexByte(service, '.')+1:]
	d := &dialogueStream{ServerStream: s, service: service, delta: strings.HasPrefix(method, "Delta"), types: map[string]bool{}, end: make(chan struct{})}
	if service == "AggregatedDiscoveryService" {
		d.service = ""
	}
	c.mu.Lock()
	c.open = append(c.open, d)
	c.mu.Unlock()
	read := make(chan error, 1)
	go func() { read <- c.read(d) }()
	select {
	case err := <-read:
		c.drop(d)
		return err
	case <-d.end:
		return status.Error(codes.Unavailable, "bye")
	}
}

func (c *controlPlane) drop(d *dialogueStream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, o := range c.open {
		if o == d {
			c.open = append(c.open[:i], c.open[i+1:]...)
			return
		}
	}
}

func (c *controlPlane) read(d *dialogueStream) error {
	for {
		var line, url string
		if d.delta {
			m := &discoveryv3.DeltaDiscoveryRequest{}
			if err := d.RecvMsg(m); err != nil {
				return ended(err)
			}
			url = m.TypeUrl
			line = fmt.Sprintf("%s +%v -%v has %v nonce %q node %v error %d", shortType(m.TypeUrl), sorted(m.ResourceNamesSubscribe), sorted(m.ResourceNamesUnsubscribe), m.InitialResourceVersions, m.ResponseNonce, m.Node.GetId() != "", m.ErrorDetail.GetCode())
		} else {
			m := &discoveryv3.DiscoveryRequest{}
			if err := d.RecvMsg(m); err != nil {
				return ended(err)
			}
			url = m.TypeUrl
			line = fmt.Sprintf("%s %v version %q nonce %q node %v error %d", shortType(m.TypeUrl), sorted(m.ResourceNames), m.VersionInfo, m.ResponseNonce, m.Node.GetId() != "", m.ErrorDetail.GetCode())
		}
		c.mu.Lock()
		d.types[url] = true
		c.mu.Unlock()
		if d.service != "" {
			line += " at " + d.service
		}
		c.asked <- line
	}
}

func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// say sends a step's response on the stream that last asked for its type.
func (c *controlPlane) say(t *testing.T, s *turn, nonce string, p *proxy, api string) {
	sotw, delta := s.responses(t, nonce, p, api)
	kind, _, _ := strings.Cut(s.Say, " ")
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.open) - 1; i >= 0; i-- {
		d := c.open[i]
		if !d.types[typePrefix+allKinds[kind]] {
			continue
		}
		if d.delta {
			d.SendMsg(delta)
		} else {
			d.SendMsg(sotw)
		}
		return
	}
	c.asked <- "nobody has asked for " + kind
}

// end ends all streams.
func (c *controlPlane) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.open {
		close(d.end)
	}
	c.open = nil
}

// first waits until something was asked.
func (c *controlPlane) first() {
	for deadline := time.Now().Add(10 * time.Second); len(c.asked) == 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
}

// quiet is what was asked until nothing has been for a while.
func (c *controlPlane) quiet(d time.Duration) (out []string) {
	for {
		select {
		case line := <-c.asked:
			out = append(out, line)
		case <-time.After(d):
			return out
		}
	}
}
