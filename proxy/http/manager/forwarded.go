package manager

import (
	"net/netip"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// mutateRequest sets, checks and removes the headers by which proxies tell
// each other of the client: Envoy's ConnectionManagerUtility, in its order.
func (s *stream) mutateRequest() {
	h, c := &s.request, s.cfg
	if !isUpgrade(h) {
		h.Remove(http.Connection)
		h.Remove(http.Upgrade)
		s.sanitizeTE()
	}
	h.Remove(http.XEnvoyInternal)
	h.Remove(http.KeepAlive)
	h.Remove(http.ProxyConnection)
	h.Remove(http.TransferEncoding)
	h.Remove(http.HTTP2Settings)

	remote, trusted := s.clientAddress()
	if s.LocalReply {
		return
	}
	s.internal = trusted && (remote.IsValid() && c.isInternal(remote) || c.internalPipes && s.m.conn.RemoteAddress().IsPipe())
	if !remote.IsValid() {
		remote = s.m.conn.RemoteAddress().Addr()
	} else if remote != s.info.DownstreamRemote.Addr() {
		s.info.DownstreamRemote = network.IPAddress(netip.AddrPortFrom(remote, 0))
	}
	edge := !s.internal && c.useRemoteAddress
	if s.internal {
		h.Set(http.XEnvoyInternal, "true")
	} else {
		removeInternalHeaders(h, edge)
		if rc := s.routeConfig(); rc != nil {
			for _, name := range rc.InternalOnlyHeaders() {
				h.RemoveName(name)
			}
		}
	}
	if c.userAgent != "" {
		h.Set(http.XEnvoyDownstreamServiceCluster, c.userAgent)
		if h.Get(http.UserAgent) == "" {
			h.Set(http.UserAgent, c.userAgent)
		}
		if c.nodeID != "" {
			h.Set(http.XEnvoyDownstreamServiceNode, c.nodeID)
		}
	}
	if c.via != "" {
		h.Append(http.Via, ", ", c.via)
	}
	if edge && remote.IsValid() {
		h.Set(http.XEnvoyExternalAddress, ownAddr(h, remote))
	}
	s.setRequestID(edge)
	s.setScheme()
	s.forwardClientCert()
}

// appendPeer adds this hop to X-Forwarded-For. A client on this machine is
// named by the machine's address, as in Envoy.
func (s *stream) appendPeer(addr netip.Addr) {
	if addr.IsLoopback() {
		addr = s.cfg.localAddress
	}
	s.request.Append(http.XForwardedFor, ",", ownAddr(&s.request, addr))
}

// clientAddress finds who the client is and adds this hop to the forwarding
// headers. trusted tells whether the address may mark an internal request.
func (s *stream) clientAddress() (remote netip.Addr, trusted bool) {
	h, c := &s.request, s.cfg
	peer := s.m.conn.RemoteAddress()
	scheme := "http"
	if s.secure() {
		scheme = "https"
	}
	if i := s.m.conn.Info; i != nil && i.LocalRestored {
		if by, ok := c.schemeByPort[s.m.conn.LocalAddress().Port()]; ok {
			scheme = by
		}
	}
	if c.useRemoteAddress {
		trusted = !h.Has(http.XForwardedFor)
		if c.trustedHops > 0 {
			remote, _ = lastForwarded(h.Get(http.XForwardedFor), int(c.trustedHops)-1)
		}
		if !remote.IsValid() {
			remote = peer.Addr()
		}
		if !c.skipXFFAppend && !peer.IsPipe() {
			s.appendPeer(peer.Addr())
		}
		if c.trustedHops == 0 || !h.Has(http.XForwardedProto) {
			h.Set(http.XForwardedProto, scheme)
		}
		if c.appendForwardedPort && c.trustedHops == 0 {
			h.Remove(http.XForwardedPort) // whoever told it is not trusted
		}
	} else {
		var reject int
		if remote, trusted, reject = s.detectClient(); reject != 0 {
			s.w.stats.DownstreamRqRejectedViaIpDetection.Inc()
			s.Answer(reject, "", nil, http.NoGrpcStatus, "rejecting_because_detection_failed")
			return remote, false
		}
	}
	if !h.Has(http.XForwardedProto) {
		h.Set(http.XForwardedProto, scheme)
	}
	if c.appendForwardedPort && !h.Has(http.XForwardedPort) {
		h.SetInt(http.XForwardedPort, int64(s.m.conn.LocalAddress().Port()))
	}
	return remote, trusted
}

// ownAddr is an address as text in the map's memory.
func ownAddr(h *http.HeaderMap, a netip.Addr) string {
	var buf [64]byte
	return h.OwnBytes(a.AppendTo(buf[:0]))
}

// lastForwarded is the address that stands skip places from the right end of
// an X-Forwarded-For value. single tells that the value is that address alone.
func lastForwarded(xff string, skip int) (addr netip.Addr, single bool) {
	rest := xff
	for ; skip > 0; skip-- {
		i := strings.LastIndexByte(rest, ',')
		if i < 0 {
			return netip.Addr{}, false
		}
		rest = rest[:i]
	}
	if i := strings.LastIndexByte(rest, ','); i >= 0 {
		rest = rest[i+1:]
	}
	a, err := netip.ParseAddr(strings.Trim(rest, " \t"))
	if err != nil {
		return netip.Addr{}, false
	}
	return a, strings.IndexByte(xff, ',') < 0
}

// externalOnly are headers that only requests from inside may carry.
var externalOnly = [...]http.HeaderID{
	http.XEnvoyRetriableStatusCodes, http.XEnvoyRetriableHeaderNames, http.XEnvoyRetryOn, http.XEnvoyRetryGrpcOn,
	http.XEnvoyMaxRetries, http.XEnvoyUpstreamAltStatName, http.XEnvoyUpstreamRqTimeoutMs,
	http.XEnvoyUpstreamRqPerTryTimeoutMs, http.XEnvoyUpstreamRqTimeoutAltResponse, http.XEnvoyExpectedRqTimeoutMs,
	http.XEnvoyUpstreamStreamDurationMs, http.XEnvoyOriginalURL,
	http.XEnvoyForceTrace, http.XEnvoyIPTags, http.XEnvoyHedgeOnPerTryTimeout,
}

func removeInternalHeaders(h *http.HeaderMap, edge bool) {
	if edge {
		h.Remove(http.XEnvoyDecoratorOperation)
		h.Remove(http.XEnvoyDownstreamServiceCluster)
		h.Remove(http.XEnvoyDownstreamServiceNode)
		h.Remove(http.XEnvoyOriginalPath)
		h.Remove(http.XEnvoyOriginalHost)
	}
	for _, id := range externalOnly {
		if h.Has(id) {
			h.Remove(id)
		}
	}
}

func isUpgrade(h *http.HeaderMap) bool {
	return h.Has(http.Upgrade) && hasToken(h.Get(http.Connection), "upgrade")
}

// sanitizeTE keeps of the TE header only what an intermediary may pass on.
func (s *stream) sanitizeTE() {
	h := &s.request
	if !h.Has(http.TE) {
		return
	}
	if hasToken(h.Get(http.TE), "trailers") {
		h.Set(http.TE, "trailers")
	} else {
		h.Remove(http.TE)
	}
}

// secure tells whether the client's connection is encrypted.
func (s *stream) secure() bool {
	return s.m.conn.Info != nil && s.m.conn.Info.TLS != nil
}

// setScheme makes the scheme one of HTTP: what the request says, else what the
// proxy before this one says, else what the connection is.
func (s *stream) setScheme() {
	h := &s.request
	if s.cfg.scheme != "" {
		h.Set(http.Scheme, s.cfg.scheme)
		h.Set(http.XForwardedProto, s.cfg.scheme)
		return
	}
	own, told := h.Get(http.Scheme), h.Get(http.XForwardedProto)
	switch {
	case strings.EqualFold(own, "https"):
		h.Set(http.Scheme, "https")
	case strings.EqualFold(own, "http"):
		h.Set(http.Scheme, "http")
	case own != "" && (strings.EqualFold(told, "http") || strings.EqualFold(told, "https")):
		h.Set(http.Scheme, told) // as it is written, in Envoy
	case strings.EqualFold(told, "http"):
		h.Set(http.Scheme, "http")
	case strings.EqualFold(told, "https"), s.secure():
		h.Set(http.Scheme, "https")
	default:
		h.Set(http.Scheme, "http")
	}
}

// setRequestID gives the request an x-request-id as configured.
func (s *stream) setRequestID(edge bool) {
	h, c := &s.request, s.cfg
	if c.generateRequestID && (h.Get(http.XRequestID) == "" || edge && !c.preserveExternalRequestID) {
		h.Set(http.XRequestID, s.w.uuid.next(h, s.w.rand))
	}
	s.info.RequestID = h.Get(http.XRequestID)
}
