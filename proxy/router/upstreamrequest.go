package router

import (
	"cmp"
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/tracing"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/pool"
)

// upstreamRequest is one try of a request at a host.
type upstreamRequest struct {
	f      *filter
	perTry event.Timer
	idle   event.Timer     // per_try_idle_timeout
	life   event.Timer     // max_stream_duration of the cluster
	wait   network.Buffer  // body that waits for a connection
	own    *http.HeaderMap // for the response's head while tries compete
	chain  *tryChain       // filters between here and the connection; nil: none
	attemptState
}

// attemptState is what is zero when a try begins.
type attemptState struct {
	pending   pool.Cancellable // the wait for a stream
	enc       http.RequestEncoder
	host      *cluster.Host
	began     time.Duration // when the try did
	sent      time.Duration // when the request's head went out
	active    bool
	undecided bool // whether its gRPC response, begun, is a success
	// outOfTime tells that the whole request has no time left.
	outOfTime bool
	hedged    bool // it was slow, and another was started for it
	ended     bool // the request has been encoded whole
	headEnd   bool // the request is a head only
	headReady bool // the head may go out: filters have let it pass
	received  bool // the response is there whole, though filters may hold it
	waitEnd   bool // the data that waits is the last
	trailer   *http.HeaderMap
	started   bool            // the response has begun
	backedUp  bool            // the client was asked to wait for the upstream
	paused    int             // how often the upstream was asked to wait for the client
	head      *http.HeaderMap // the response's

	tracing      *tracing.Config // nil: the request has no span
	span         *tracing.Span   // the try's own, nil when it has none
	context      *tracing.Span   // what the upstream continues
	protocol     string
	code         int
	log          *tryLog // nil: tries are not logged
	respTrailers *http.HeaderMap
	sizes        messageSizes
	headReceived uint64 // bytes of the response's head, where the codec doesn't count them
}

func (u *upstreamRequest) init(f *filter) {
	loop := f.cb.Loop()
	u.f = f
	u.wait.Init(&loop.Pool)
	loop.InitTimer(&u.perTry, u.onPerTryTimeout)
	loop.InitTimer(&u.idle, u.onPerTryIdle)
	loop.InitTimer(&u.life, u.onMaxDuration)
}

// start asks the host's pool for a stream. What of the request's body is to
// go out first lies in u.wait.
func (u *upstreamRequest) start(headOnly bool) {
	f := u.f
	u.attemptState = attemptState{active: true, host: f.host, headEnd: headOnly, began: f.cb.Loop().Now()}
	u.sizes.requestBody = uint64(u.wait.Len())
	u.startChain()
	if u.headReady = u.chain == nil; u.headReady && f.requestEnd && !headOnly {
		u.waitEnd = true
		if f.hasTrailers {
			u.trailer = f.cb.RequestTrailers()
		}
	}
	info := f.cb.StreamInfo()
	info.UpstreamHost, info.UpstreamHostname = f.host.Current(), f.host.Hostname
	info.UpstreamRemote, info.UpstreamFailure = network.Address{}, ""
	info.UpstreamMetadata = f.host.Metadata()
	l := f.host.Locality
	info.UpstreamLocality = [3]string{l.Region, l.Zone, l.SubZone}
	info.UpstreamPoolAsked = f.cb.Loop().Now()
	u.startSpan()
	u.startLog()
	u.touch()
	u.connect()
	if u.chain != nil && u.active {
		u.chain.decode(headOnly)
	}
}

// connect asks for the stream that the try is to take.
func (u *upstreamRequest) connect() {
	f := u.f
	if f.tunnel != nil {
		u.pending = f.cluster.TCPConnect(f.host, f.priority(), f.cb.Connection(), &tcpConnect{u})
		return
	}
	p := f.cluster.HTTPPoolFor(f.host, f.priority(), f.cb.Connection(), f.cb.StreamInfo().Protocol, f.asks())
	u.pending = p.NewStream(u, u)
}

func (u *upstreamRequest) reset() {
	u.wait.Reset()
	u.own = nil
	u.attemptState = attemptState{}
}

// OnPoolReady implements pool.StreamCallbacks.
func (u *upstreamRequest) OnPoolReady(enc http.RequestEncoder, h *cluster.Host, conn *network.Connection, proto http.ProtocolVersion) {
	f := u.f
	u.pending, u.enc, u.host = nil, enc, h
	h.Monitor().Connected(f.cb.Worker(), false)
	enc.SetCallbacks(u)
	info, now := f.cb.StreamInfo(), f.cb.Loop().Now()
	u.sent = now
	info.UpstreamPoolReady = now
	if info.FirstUpstreamTxByte == 0 {
		info.FirstUpstreamTxByte = now
	}
	info.UpstreamLocal, info.UpstreamConnID = conn.LocalAddress(), conn.ID()
	info.UpstreamRemote = conn.RemoteAddress()
	f.autoHostRewrite(h)
	if conn.Info != nil {
		info.UpstreamFilterState = conn.Info.FilterState
	}
	info.UpstreamProtocol = proto.String()
	recordTransport(info, conn)
	u.protocol = info.UpstreamProtocol
	u.log.ready(u.protocol)
	info.Attempts = append(info.Attempts[:0], streaminfo.Attempt{Host: h.Current(), Hostname: h.Hostname, ConnID: conn.ID()})
	for _, c := range f.counted {
		if c != nil {
			c.Total.Inc()
		}
	}
	if f.requestEnd {
		u.startPerTry()
	}
	u.startMaxDuration()
	if u.headReady {
		u.sendHead()
	}
}

// sendHead sends the request's head, and what waits behind it.
func (u *upstreamRequest) sendHead() {
	f, enc := u.f, u.enc
	hdr := f.cb.RequestHeaders()
	last := u.headEnd && u.trailer == nil
	u.injectSpan(hdr)
	if err := enc.EncodeHeaders(hdr, last); err != nil {
		f.badRequest(err)
		return
	}
	if f.cb.UpgradeType() == "connect" {
		enc.EnableTCPTunneling()
	}
	if last {
		u.encoded()
		return
	}
	if !u.active {
		return
	}
	if u.wait.Len() > 0 || u.waitEnd {
		end := u.waitEnd && u.trailer == nil
		u.log.sent(u.wait.Len())
		enc.EncodeData(&u.wait, end)
		if end {
			u.encoded()
		}
	}
	if u.trailer != nil && u.active {
		enc.EncodeTrailers(u.trailer)
		u.encoded()
	}
	if f.requestPaused {
		f.requestPaused = false
		f.cb.OnDecoderBelowLowWatermark()
	}
}

// OnPoolFailure implements pool.StreamCallbacks.
func (u *upstreamRequest) OnPoolFailure(reason pool.FailureReason, failure string, h *cluster.Host) {
	u.pending = nil
	info := u.f.cb.StreamInfo()
	info.UpstreamPoolReady = u.f.cb.Loop().Now() // as in Envoy, though it is not
	if h != nil {
		u.host = h
	} else {
		info.UpstreamHost, info.UpstreamHostname, info.UpstreamMetadata = network.Address{}, "", nil
	}
	u.disarm()
	u.chargeTry()
	u.active = false
	u.chain.end()
	u.endSpan(reason.ResetReason().String(), flagOf(reason.ResetReason()))
	u.log.failed(flagOf(reason.ResetReason()), failure)
	u.log.end()
	u.f.onReset(u, reason.ResetReason(), failure, false)
}

// sendData and sendTrailers take what follows the request's head.
func (u *upstreamRequest) sendData(b *network.Buffer, end bool) {
	u.touch()
	u.sizes.requestBody += uint64(b.Len())
	if c := u.chain; c != nil {
		c.RequestWhole = end
		if !c.Over() {
			c.DecodeBody(b, end)
		}
		return
	}
	u.encodeData(b, end)
}

func (u *upstreamRequest) sendTrailers(t *http.HeaderMap) {
	if c := u.chain; c != nil {
		c.RequestWhole, c.GotTrailers, c.RequestTrailers = true, true, t
		if !c.Over() {
			c.DecodeTail()
		}
		return
	}
	u.encodeTrailers(t)
}

// encodeData gives a piece of the body to the connection, or keeps it while
// there is none.
func (u *upstreamRequest) encodeData(b *network.Buffer, end bool) {
	if u.received {
		b.Reset()
		return
	}
	if u.enc != nil {
		u.log.sent(b.Len())
		u.enc.EncodeData(b, end)
		if end {
			u.encoded()
		}
		return
	}
	u.wait.Move(b)
	u.waitEnd = u.waitEnd || end
	if limit := u.f.cb.BufferLimit(); limit > 0 && u.wait.Len() > int(limit) && !u.f.requestPaused {
		u.f.requestPaused = true
		u.f.cb.OnDecoderAboveHighWatermark()
	}
}

func (u *upstreamRequest) encodeTrailers(t *http.HeaderMap) {
	if u.received {
		return
	}
	if u.enc == nil {
		u.trailer = t
		return
	}
	u.enc.EncodeTrailers(t)
	u.encoded()
}

func (u *upstreamRequest) encoded() {
	u.ended = true
	u.f.cb.StreamInfo().LastUpstreamTxByte = u.f.cb.Loop().Now()
}

// cancel gives the try up.
func (u *upstreamRequest) cancel() {
	u.disarm()
	if !u.active {
		return
	}
	if u.pending != nil {
		u.pending.Cancel()
		u.pending = nil
	}
	u.release(true)
	u.wait.Reset()
}

// release lets go of the stream, cutting it off when it has not ended.
func (u *upstreamRequest) release(reset bool) {
	u.chargeTry()
	u.active = false
	if reset {
		u.cancelSpan()
	}
	u.endSpan("", 0)
	u.leave(reset)
	u.log.end()
	u.chain.end()
}

// leave gives the stream back to its connection, cutting it off when it has
// not ended.
func (u *upstreamRequest) leave(reset bool) {
	enc := u.enc
	if u.enc = nil; enc == nil {
		return
	}
	if m, ok := enc.(http.Metered); ok {
		// Envoy adds up all tries, too.
		info, b := u.f.cb.StreamInfo(), m.Bytes()
		info.UpstreamBytesReceived += b.Received
		info.UpstreamBytesSent += b.Sent
		info.UpstreamHeaderSent += b.HeaderSent
		info.UpstreamHeaderReceived += cmp.Or(b.HeaderReceived, u.headReceived)
	}
	enc.SetCallbacks(nil)
	u.OnBelowWriteBufferLowWatermark() // nothing waits for this upstream any more
	for ; u.paused > 0; u.paused-- {
		enc.ReadDisable(false)
	}
	if reset {
		enc.ResetStream(http.LocalReset)
	}
}

// OnResetStream implements http.StreamCallbacks: the upstream ended the try.
func (u *upstreamRequest) OnResetStream(reason http.ResetReason, failure string) {
	if !u.active {
		return
	}
	u.disarm()
	u.endSpan(reason.String(), flagOf(reason))
	u.log.failed(flagOf(reason), failure)
	u.release(false)
	u.wait.Reset()
	u.f.onReset(u, reason, failure, true)
}

var (
	_ pool.StreamCallbacks = (*upstreamRequest)(nil)
	_ http.ResponseDecoder = (*upstreamRequest)(nil)
	_ http.StreamCallbacks = (*upstreamRequest)(nil)
)
