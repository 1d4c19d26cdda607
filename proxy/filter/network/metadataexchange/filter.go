package metadataexchange

import (
	"encoding/binary"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/weirproxy/weir/proxy/istio"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

const (
	magic      = 0x3D230467
	headerSize = 8 // the magic number, and the length of what follows
	// maxData bounds what a peer may say of itself; Istio has no bound.
	maxData = 64 << 10

	peerKey = "x-envoy-peer-metadata"
	idKey   = "x-envoy-peer-metadata-id"
)

type settings struct {
	protocol string // the ALPN over which peers tell each other
	tell     []byte
	key      string // in the filter state
	group    *stats.Group[exchangeStats]
}

type exchangeStats struct {
	ALPNFound             stats.Counter `stat:"alpn_protocol_found"`
	ALPNNotFound          stats.Counter `stat:"alpn_protocol_not_found"`
	HeaderNotFound        stats.Counter `stat:"header_not_found"`
	InitialHeaderNotFound stats.Counter `stat:"initial_header_not_found"`
	MetadataAdded         stats.Counter `stat:"metadata_added"`
}

func (s *settings) newFilter(cb *network.ReadCallbacks) network.ReadFilter {
	c := cb.Connection()
	return &filter{s: s, conn: c, stats: s.group.For(c.Loop().Worker)}
}

type state uint8

const (
	unknown state = iota // no byte has been sent or received
	reading              // told; the peer's words are awaited
	over                 // all that comes is for others
)

type filter struct {
	s     *settings
	conn  *network.Connection
	stats *exchangeStats
	state state
}

// OnNewConnection implements network.ReadFilter.
func (*filter) OnNewConnection() network.FilterStatus { return network.Continue }

// begin looks at the negotiated protocol, known with the first byte either
// way. It returns true when the peer is to be told.
func (f *filter) begin() bool {
	if f.state != unknown {
		return false
	}
	if i := f.conn.Info; i == nil || i.NextProtocol != f.s.protocol {
		f.state = over
		f.stats.ALPNNotFound.Inc()
		return false
	}
	f.state = reading
	f.stats.ALPNFound.Inc()
	f.stats.MetadataAdded.Inc()
	return true
}

// OnWrite implements network.WriteFilter.
func (f *filter) OnWrite(b *network.Buffer, _ bool) network.FilterStatus {
	if f.begin() {
		rest := f.conn.Loop().NewBuffer()
		rest.Move(b)
		b.Append(f.s.tell)
		b.Move(rest)
	}
	return network.Continue
}

// OnData implements network.ReadFilter.
func (f *filter) OnData(b *network.Buffer, end bool) network.FilterStatus {
	if f.begin() {
		own := f.conn.Loop().NewBuffer()
		own.Append(f.s.tell)
		f.conn.Write(own, false)
	}
	if f.state != reading {
		return network.Continue
	}
	if b.Len() < headerSize {
		f.stats.InitialHeaderNotFound.Inc()
		return f.wait(end)
	}
	header := b.Linearize(headerSize)
	if binary.BigEndian.Uint32(header) != magic {
		f.stats.InitialHeaderNotFound.Inc()
		f.state = over
		return network.Continue
	}
	size := binary.BigEndian.Uint32(header[4:])
	if size > maxData {
		f.stats.HeaderNotFound.Inc()
		f.conn.CloseBecause(network.NoFlush, "metadata_exchange_too_large")
		return network.StopIteration
	}
	if b.Len() < headerSize+int(size) {
		return f.wait(end)
	}
	b.Drain(headerSize)
	f.take(b.Linearize(int(size)))
	b.Drain(int(size))
	f.state = over
	return network.Continue
}

// wait is for the rest of the peer's words, which may be missing.
func (f *filter) wait(end bool) network.FilterStatus {
	if end {
		f.state = over
		return network.Continue
	}
	return network.StopIteration
}

// take keeps what the peer has said of itself.
func (f *filter) take(data []byte) {
	peer, ok := parse(data)
	if !ok {
		f.stats.HeaderNotFound.Inc()
	}
	if peer == nil {
		return
	}
	i := f.conn.EnsureInfo()
	if i.FilterState == nil {
		i.FilterState = map[string]any{}
	}
	i.FilterState[f.s.key] = peer
}

// parse reads what follows the header. ok is false when it is malformed; the
// peer is nil when it says nothing of use.
func parse(data []byte) (peer istio.Peer, ok bool) {
	a, all := &anypb.Any{}, &structpb.Struct{}
	if proto.Unmarshal(data, a) != nil || a.UnmarshalTo(all) != nil {
		return nil, false
	}
	if s := all.GetFields()[peerKey].GetStructValue(); s != nil {
		peer = istio.NewPeer(s.AsMap())
	}
	return peer, true
}

var _ network.WriteFilter = (*filter)(nil)
