package upstream

import (
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// TransportFactory compiles the configuration of a transport socket, on main.
type TransportFactory func(path field.Path, config *anypb.Any, ctx *TransportContext) (cluster.Transport, error)

// TransportContext is what a factory may use of its cluster.
type TransportContext struct {
	Stats      *stats.Store
	StatPrefix string // "cluster.name."
	m          *Manager
	cfg        *config
}

// UseAddresses has connections not shared by downstream connections with
// different addresses, which the transport socket sends on.
func (c *TransportContext) UseAddresses() { c.cfg.info.SendsAddresses = true }

// UseSharedState has connections not shared by requests with different objects
// of the filter state to share, which the transport socket hands on.
func (c *TransportContext) UseSharedState() { c.cfg.info.SharesState = true }

// WaitFor keeps the cluster warming until done is called, on main. Calls after
// the first do nothing.
func (c *TransportContext) WaitFor(string) (done func()) { return c.cfg.warm.add() }

// OnClose has f called, on main, when the cluster has gone.
func (c *TransportContext) OnClose(f func()) { c.cfg.warm.closers = append(c.cfg.warm.closers, f) }

// warming is what a cluster waits for besides its hosts, and what ends with
// it.
type warming struct {
	waiting int
	onWarm  func() // set once nothing else is missing
	closers []func()
}

func (w *warming) add() (done func()) {
	w.waiting++
	called := false
	return func() {
		if called {
			return
		}
		called = true
		if w.waiting--; w.waiting == 0 && w.onWarm != nil {
			w.onWarm()
		}
	}
}

func (w *warming) close() {
	for _, f := range w.closers {
		f()
	}
	w.closers, w.onWarm = nil, nil
}
