package listener

import (
	"log/slog"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/ecds"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/overload"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// NetworkFactory compiles the configuration of a network filter. It runs on
// main; what it returns is called on the workers (the connection's loop says
// which: Loop.Worker).
type NetworkFactory func(path field.Path, config *anypb.Any, ctx *FactoryContext) (network.FilterFactory, error)

// FilterFactory compiles the configuration of a listener filter.
type FilterFactory func(path field.Path, config *anypb.Any, ctx *FactoryContext) (Filter, error)

// TransportSocketFactory compiles the configuration of a transport socket.
type TransportSocketFactory func(path field.Path, config *anypb.Any, ctx *FactoryContext) (TransportFactory, error)

// AccessLog writes a line for a connection or stream that has ended.
//
// Log is called on the worker's loop l; it must not keep info.
type AccessLog interface {
	Log(l *network.Loop, info *streaminfo.Info)
}

// Factories are the extensions that listeners can use, by the type URL of
// their configuration ("type.googleapis.com/envoy.…"). Package filter has the
// table.
type Factories struct {
	Listener  map[string]FilterFactory
	Network   map[string]NetworkFilter
	Transport map[string]TransportSocketFactory
	UDP       map[string]UDPFactory // filters of UDP listeners
	Discovery ecds.Discovery        // of filters' configurations; nil: refused
}

// NetworkFilter is a kind of network filter.
type NetworkFilter struct {
	New NetworkFactory
	// Terminal filters take the bytes: they end each chain, and only they do.
	Terminal bool
	// ClientFirst filters say nothing before the client has.
	ClientFirst bool
}

// FactoryContext is what a factory may use of its server and its listener.
type FactoryContext struct {
	*Server
	Listener   string // name
	StatPrefix string // "listener.0.0.0.0_80."
	Chain      string // name of the filter chain; "" for listener filters
	// Metadata and ChainMetadata are the listener's and the chain's, by namespace.
	Metadata, ChainMetadata map[string]map[string]any
	Direction               Direction
	Bound                   bool // it has sockets of its own
	Static                  bool // configured in the bootstrap: what it refers to must be there
	Drain                   DrainDecision
	warm                    *warming
	closers                 *[]func()
}

// OnClose has f called, on main, when what the factory makes is not used by
// any listener any more: to end statistics and subscriptions.
func (c *FactoryContext) OnClose(f func()) { *c.closers = append(*c.closers, f) }

// WaitFor keeps the listener warming until done is called, on main: for a
// factory whose filter lacks something that it has asked for (a route
// configuration, a secret). Calls after the first do nothing.
func (c *FactoryContext) WaitFor(what string) (done func()) { return c.warm.add(what) }

// Server is what all listeners of a server share.
type Server struct {
	Main      *network.Loop
	Workers   []*network.Loop
	Stats     *stats.Store
	Runtime   fraction.Runtime
	Overload  *overload.Manager // nil: never overloaded
	Log       *slog.Logger
	AccessLog AccessLogCompiler // nil: access logs are refused
	Inherit   Inheritance       // may be nil
}

// warming counts what a listener waits for.
type warming struct {
	waiting map[string]int
	onWarm  func() // set once the listener waits to become active
}

func (w *warming) add(what string) func() {
	if w.waiting == nil {
		w.waiting = map[string]int{}
	}
	w.waiting[what]++
	called := false
	return func() {
		if called {
			return
		}
		called = true
		if w.waiting[what]--; w.waiting[what] == 0 {
			delete(w.waiting, what)
		}
		if f := w.onWarm; f != nil && w.done() {
			w.onWarm = nil
			f()
		}
	}
}

func (w *warming) done() bool { return len(w.waiting) == 0 }
