package manager

import (
	"strings"

	"github.com/weirproxy/weir/proxy/http"
)

// prepareRequest checks and normalises a request's head and finds its route.
// It returns false when it answered the request itself.
func (s *stream) prepareRequest(end bool) bool {
	h := &s.request
	proto := s.m.codec.Protocol() // of this request: HTTP/1.0 or 1.1
	s.info.Protocol = proto.String()
	st := s.w.stats
	if s.cfg.overload.StopsAcceptingRequests() {
		st.DownstreamRqOverloadClose.Inc()
		s.Answer(503, "envoy overloaded", s.tellOverload, http.NoGrpcStatus, "overload")
		return false
	}

	if shouldClose(h, proto) {
		s.connectionClose = true
	}
	if s.m.drain == closing && proto < http.HTTP2 {
		s.connectionClose = true
	}
	if h.Get(http.Expect) == "100-continue" && proto != http.HTTP10 && !s.cfg.proxy100Continue {
		// The body is asked for at once; the upstream need not know.
		s.response.Reset()
		s.response.Add(http.Status, "100")
		s.enc.Encode1xxHeaders(&s.response)
		s.response.Reset()
		st.CountStatus(100)
		s.w.listener.CountStatus(100)
		h.Remove(http.Expect)
	}

	if proto < http.HTTP2 && h.Has(http.Connection) && !sanitizeConnection(h) {
		return s.reject(400, "", "connection_header_rejected")
	}
	connect := h.Get(http.Method) == "CONNECT"
	if !h.Has(http.Authority) && !connect {
		return s.reject(400, "", "missing_host_header")
	}
	path := h.Get(http.Path)
	if path == "" && !connect {
		return s.reject(404, "", "missing_path_rejected")
	}
	if !connect && path[0] != '/' {
		st.DownstreamRqNonRelativePath.Inc()
		return s.reject(404, "", "absolute_path_rejected")
	}
	if strings.IndexByte(path, '#') >= 0 {
		return s.rejectPath()
	}
	if !connect && !s.normalizePath() {
		return false
	}
	s.normalizeHost()
	if h.Get(http.Method) == "QUERY" && h.Get(http.ContentType) == "" {
		return s.reject(400, "", "query_missing_content_type") // draft-ietf-httpbis-safe-method-w-body, section 2
	}
	for _, m := range s.cfg.earlyMutations {
		m.Apply(h, s.formatContext())
	}
	withBody := proto < http.HTTP2 && (h.Has(http.TransferEncoding) || strings.Trim(h.Get(http.ContentLength), "0") != "")
	s.mutateRequest()
	if s.Over() {
		return false
	}
	s.checkUpgrade(withBody)
	if s.Over() {
		return false
	}
	s.trace()
	s.chooseFilters()
	s.refreshTimeouts()
	s.logStart()
	return true
}

// tellOverload marks an answer that is due to overload, when it is to be.
func (s *stream) tellOverload(h *http.HeaderMap) {
	if s.cfg.appendLocalOverload {
		h.SetName("x-envoy-local-overloaded", "true")
	}
}

// reject answers a bad request. To Envoy such a one is no protocol error: those
// are the codecs'. Nor has it noticed that the request may be whole, so the
// connection, if it ends, does so with delayed_close_timeout.
func (s *stream) reject(code int, body, details string) bool {
	s.rejected = true
	s.Answer(code, body, nil, http.NoGrpcStatus, details)
	return false
}

// shouldClose tells whether the client will not use the connection again.
func shouldClose(h *http.HeaderMap, proto http.ProtocolVersion) bool {
	conn := h.Get(http.Connection)
	switch proto {
	case http.HTTP10:
		return !hasToken(conn, "keep-alive")
	case http.HTTP11:
		return conn != "" && hasToken(conn, "close") || h.Has(http.ProxyConnection) && hasToken(h.Get(http.ProxyConnection), "close")
	}
	return false
}

// hasToken finds a token (lower case) in a comma-separated list, ignoring case.
func hasToken(list, token string) bool {
	for list != "" {
		var item string
		item, list, _ = strings.Cut(list, ",")
		if strings.EqualFold(strings.Trim(item, " \t"), token) {
			return true
		}
	}
	return false
}

// maxNominated bounds the tokens of a Connection header, as Envoy does.
const maxNominated = 10

// sanitizeConnection removes the fields that the Connection header names. It
// returns false when a field is named that must not go.
func sanitizeConnection(h *http.HeaderMap) bool {
	value := h.Get(http.Connection)
	if strings.EqualFold(value, "keep-alive") || strings.EqualFold(value, "close") {
		return true
	}
	n := 0
	for value != "" {
		var item string
		item, value, _ = strings.Cut(value, ",")
		item = strings.Trim(item, " \t")
		if item == "" {
			continue
		}
		if n++; n >= maxNominated {
			return false
		}
		if !nominate(h, strings.ToLower(item)) {
			return false
		}
	}
	return true
}

func nominate(h *http.HeaderMap, name string) bool {
	switch id := http.LookupID(name); id {
	case http.KeepAlive, http.Upgrade, http.HTTP2Settings, http.Connection:
		return true
	case http.XForwardedFor, http.XForwardedHost, http.XForwardedProto, http.ContentLength, http.TransferEncoding, http.Host, http.Authority:
		// Their removal would hide where the request comes from, or where
		// it ends.
		return false
	case http.TE:
		te := h.Get(http.TE)
		if len(te) >= 256 {
			return false
		}
		if hasToken(te, "trailers") {
			h.Set(http.TE, "trailers")
			return true
		}
		h.Remove(http.TE)
		return true
	default:
		if name[0] == ':' {
			return false
		}
		if name != "close" {
			h.RemoveName(name)
		}
		return true
	}
}

// normalizeHost applies the manager's host options to :authority.
func (s *stream) normalizeHost() {
	c := s.cfg
	if !c.stripAnyPort && !c.stripMatchingPort && !c.stripTrailingDot {
		return
	}
	h := &s.request
	host := h.Get(http.Authority)
	name, port := splitPort(host)
	if c.stripTrailingDot && strings.HasSuffix(name, ".") {
		name = name[:len(name)-1]
		if port == "" {
			h.Set(http.Authority, name)
		} else {
			h.Set(http.Authority, h.Concat(name, ":", port))
		}
	}
	if port == "" || h.Get(http.Method) == "CONNECT" && !c.stripAnyPort {
		return
	}
	if c.stripAnyPort || port == h.Int(int64(s.m.conn.LocalAddress().Port())) {
		h.Set(http.Authority, name)
	}
}

// splitPort cuts ":port" off a host. The name keeps an IPv6 address's
// brackets.
func splitPort(host string) (name, port string) {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.IndexByte(host[i:], ']') >= 0 {
		return host, ""
	}
	return host[:i], host[i+1:]
}

// checkUpgrade decides on a request to change protocols: the tunnel is opened
// when the route or the manager allows its type, and refused otherwise. What is
// allowed of a request with a body may be ignored, and is (RFC 9110 section 7.8).
func (s *stream) checkUpgrade(withBody bool) {
	h := &s.request
	kind := ""
	switch {
	case h.Get(http.Method) == "CONNECT":
		kind = "connect"
	case h.Has(http.Upgrade) && hasToken(h.Get(http.Connection), "upgrade"):
		kind = strings.ToLower(h.Get(http.Upgrade))
	default:
		return
	}
	allowed, known := false, false
	if r, ok := s.findRoute().(interface {
		UpgradeAllowed(kind string) (allowed, known bool)
	}); ok {
		allowed, known = r.UpgradeAllowed(kind)
	}
	if !known {
		allowed = s.cfg.upgrades[kind].enabled
	}
	if allowed && withBody && kind != "connect" {
		h.Remove(http.Upgrade)
		h.Remove(http.Connection)
		return
	}
	if allowed {
		s.upgrade = kind
		s.w.stats.DownstreamCxUpgradesTotal.Inc()
		s.w.stats.DownstreamCxUpgradesActive.Inc()
		s.idle.Enable(s.idleTimeout)
		if filters := s.cfg.upgrades[kind].filters; filters != nil {
			s.Replace(filters)
		}
		return
	}
	if s.route == nil {
		return // the router answers 404
	}
	s.connectionClose = true // what follows was meant for the other protocol
	s.w.stats.DownstreamRqWsOnNonWsRoute.Inc()
	s.Answer(403, "", nil, http.NoGrpcStatus, "upgrade_failed")
}

// chooseFilters applies what the route says of each filter.
func (s *stream) chooseFilters() {
	if !s.cfg.filtersVary {
		return
	}
	s.Choose(s.findRoute())
}
