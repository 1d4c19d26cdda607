package manager

import (
	"strings"

	"github.com/weirproxy/weir/proxy/accesslog"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// localReplies is local_reply_config compiled.
type localReplies struct {
	mappers []localReplyMapper
	body    *replyBody // body_format, nil for the plain text
}

// localReplyMapper changes the local replies that its filter matches.
type localReplyMapper struct {
	match   accesslog.Filter
	status  int     // 0 leaves it
	text    *string // nil leaves the body
	body    *replyBody
	headers *route.HeaderChanges
}

type replyBody struct {
	format      *formatter.Formatter
	contentType string
}

// Answer implements filterchain.Stream: it answers the request from within the
// proxy. modify may add headers to the answer.
func (s *stream) Answer(code int, body string, modify func(*http.HeaderMap), grpcStatus int, details string) {
	if s.Ended {
		return
	}
	if details != "" {
		s.info.ResponseCodeDetails = details
	}
	if s.headersWritten {
		s.Reset(http.LocalReset)
		return
	}
	// A response that is under way but of which the client has seen nothing is
	// replaced, and its place is not taken by filters again.
	direct := s.ResponseStarted
	if code == 400 && s.m.protocol < http.HTTP2 && !s.enc.StreamErrorOnInvalidMessage() {
		s.connectionClose = true // what follows may be garbled, too
	}
	s.LocalReply = true
	if s.request.Get(http.XForwardedProto) != "" {
		s.findRoute() // so that it changes headers even of what is refused before routing
	}
	h := &s.response
	h.Reset()
	h.Add(http.Status, h.Int(int64(code)))
	s.finalize(h)
	if modify != nil {
		modify(h)
	}
	s.info.ResponseCode = code
	given, ownType := body, h.Has(http.ContentType)
	head := s.request.Get(http.Method) == "HEAD"
	contentType := "text/plain"
	if lr := s.cfg.localReplies; lr != nil {
		code, body, contentType = s.rewriteReply(lr, code, body)
	}
	switch {
	case s.grpc:
		if grpcStatus == http.NoGrpcStatus {
			grpcStatus = http.GRPCStatus(code)
		}
		h.Set(http.Status, "200")
		h.Set(http.ContentType, "application/grpc")
		h.SetInt(http.GrpcStatus, int64(grpcStatus))
		if body != "" && !head {
			h.Set(http.GrpcMessage, h.Own(http.PercentEncode(grpcMessage(body, contentType))))
		}
		body = ""
	case body != "" && code != 204 && code != 304 && code >= 200:
		h.SetInt(http.ContentLength, int64(len(body)))
		if !ownType || body != given || contentType != "text/plain" {
			h.Set(http.ContentType, contentType) // a type that was given is not that of another body
		}
	default:
		body = ""
		h.Remove(http.ContentType)
		if code != 204 && code >= 200 {
			h.Remove(http.ContentLength)
		}
	}
	if head {
		body = ""
	}
	if direct {
		s.replaceResponse(body)
		return
	}
	s.EncodeHead(body == "")
	if body != "" && !s.Ended {
		b := s.TakeBuffer()
		b.AppendString(body)
		s.EncodeBody(b, true)
		s.PutBuffer(b)
	}
}

// grpcMessage is a body as a header's value: without the line break that a JSON
// format ends with.
func grpcMessage(body, contentType string) string {
	if contentType == "application/json" {
		return strings.TrimSuffix(body, "\n")
	}
	return body
}

// replaceResponse sends the head in s.response and body past the filters.
func (s *stream) replaceResponse(body string) {
	s.Bypass()
	s.WriteHead(body == "")
	if body == "" || s.Ended {
		return
	}
	b := s.TakeBuffer()
	b.AppendString(body)
	s.WriteBody(b, true)
	s.PutBuffer(b)
}

// finalize applies the route's header changes to an answer in place of the
// upstream's, whoever gives it; those of redirects and direct responses are the
// router's to apply. Neither they nor the log know its code yet.
func (s *stream) finalize(h *http.HeaderMap) {
	if r, ok := s.route.(*route.Route); ok && r.Forward() != nil {
		c := s.formatContext()
		c.ResponseHeaders = h
		r.FinalizeResponseHeaders(h, c)
	}
}

// SendLocalReply implements http.RequestDecoder: the codec refuses the request.
func (s *stream) SendLocalReply(code int, body, details string) {
	s.info.SetFlag(streaminfo.DownstreamProtocolError)
	s.garbled = true
	if !s.gotHeaders {
		s.request.Reset() // a head that is not whole is not told
	}
	s.Answer(code, body, nil, http.NoGrpcStatus, details)
}

// rewriteReply applies the first mapper that matches, then the body format.
func (s *stream) rewriteReply(lr *localReplies, code int, body string) (int, string, string) {
	started := s.ResponseStarted
	s.ResponseStarted = true // the filters may look at the answer's headers
	c := s.formatContext()
	s.ResponseStarted = started
	format := lr.body
	for i := range lr.mappers {
		m := &lr.mappers[i]
		if m.match != nil && !m.match(c) {
			continue
		}
		if m.text != nil {
			body = *m.text
		}
		if m.headers != nil {
			m.headers.Apply(&s.response, c)
		}
		if m.status != 0 && m.status != code {
			code = m.status
			s.response.Set(http.Status, s.response.Int(int64(code)))
			s.info.ResponseCode = code
		}
		if m.body != nil {
			format = m.body
		}
		break
	}
	contentType := "text/plain"
	if format != nil {
		c.LocalReplyBody = body
		body = string(format.format.Append(nil, c))
		c.LocalReplyBody = ""
		contentType = format.contentType
	}
	return code, body, contentType
}
