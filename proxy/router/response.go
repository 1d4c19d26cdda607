package router

import (
	"strconv"
	"strings"
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// onHeaders takes the head of a try's response.
func (f *filter) onHeaders(u *upstreamRequest, h *http.HeaderMap, end bool) {
	info, now := f.cb.StreamInfo(), f.cb.Loop().Now()
	if info.FirstUpstreamRxByte == 0 {
		info.FirstUpstreamRxByte = now
	}
	code := u.code
	// Names, values and three bytes a line, but for the status: as Envoy.
	u.headReceived = uint64(h.Bytes() - len(":status200") + 3*(h.Len()-1))
	u.host.Monitor().Response(f.cb.Worker(), f.healthCode(code, h))
	if h.Has(http.XEnvoyDegraded) {
		u.host.Monitor().SaysDegraded()
	}
	u.host.TakeLoadReport(h)
	if h.Has(http.XEnvoyImmediateHealthCheckFail) {
		u.host.FailNow()
	}
	if f.retry != nil && f.retryAfterHeaders(u, h, code, end) {
		u.count(false)
		return
	}
	if f.redirects(u, h, code, end) {
		return // counts as neither
	}
	switch {
	case code >= 500:
		u.count(false)
	case !f.grpc:
		u.count(true)
	case end:
		u.count(grpcSucceeded(h))
	default:
		u.undecided = true
	}
	f.keepBody = false
	f.body.Reset()
	f.responseStarted = true
	f.win(u)
	if u.own != nil {
		h = f.cb.NewResponse()
		h.CopyFrom(u.own)
		u.head = h
	}
	if code == 101 || f.cb.UpgradeType() == "connect" {
		// From here on there is no response to wait for.
		f.response.Disable()
	}
	f.chargeHeaders(code, u, h)
	if !f.cfg.suppressEnvoyHeaders && f.requestEnd {
		h.SetInt(http.XEnvoyUpstreamServiceTime, int64((now-f.began)/time.Millisecond))
	}
	if f.route.VirtualHost().IncludeAttemptCountInResponse {
		h.SetInt(http.XEnvoyAttemptCount, int64(f.attempts))
	}
	f.cb.StreamInfo().ResponseCode = code
	for _, c := range f.cookies {
		h.Add(http.SetCookie, c)
	}
	f.cb.StreamInfo().ResponseCodeDetails = "via_upstream"
	f.route.FinalizeResponseHeaders(h, f.formatContext(h))
	f.cb.AddDownstreamWatermarks(f)
	if end {
		u.finish()
	}
	f.cb.EncodeHeaders(h, end, "via_upstream")
}

// retryAfterHeaders retries when the policy has it so for such a response. It
// returns true when the try's response is not to be used: another try is to
// come, or is under way.
func (f *filter) retryAfterHeaders(u *upstreamRequest, h *http.HeaderMap, code int, end bool) bool {
	r := f.retry
	if u.hedged {
		// There is another try for it already.
		if r.wantsHeaders(h, code) && f.others(u) {
			u.disarm()
			u.release(!end || !u.ended)
			return true
		}
	} else if v := r.onHeaders(h, code); f.retryOn(v, false) {
		f.cluster.Stats().RetryRq.Inc(code)
		u.disarm()
		u.release(!end || !u.ended)
		return true
	} else if v != retryNo && f.others(u) {
		u.disarm()
		u.release(!end || !u.ended)
		return true
	}
	r.cancel()
	f.retry = nil
	return false
}

// onComplete is called when the response is received whole.
func (f *filter) onComplete(u *upstreamRequest, now time.Duration) {
	f.response.Disable()
	f.chargeBudget()
	if f.requestEnd {
		f.chargeTime(u, uint64((now-f.began)/time.Millisecond))
	}
	f.done = true
}

// onReset handles the end of a try without a (whole) response.
func (f *filter) onReset(u *upstreamRequest, reason http.ResetReason, failure string, sent bool) {
	if f.done {
		return
	}
	if u.host != nil {
		if reason != http.Overflow {
			u.host.Monitor().Failed(f.cb.Worker())
		}
		if !f.responseStarted {
			u.host.Stats(f.cb.Worker()).RqError++
		}
		u.countBroken()
	}
	f.cb.StreamInfo().UpstreamFailure = failure
	if !f.responseStarted && (f.retryAfterReset(u, reason, sent, false) || f.others(u)) {
		return
	}
	f.attempt = u
	code := 503
	if reason == http.ProtocolError {
		code = 502
	}
	overloaded := reason == http.Overflow
	f.chargeAbort(code, overloaded)
	flag := flagOf(reason)
	var body, details strings.Builder
	body.WriteString("upstream connect error or disconnect/reset before headers. ")
	if f.attempts > 1 {
		body.WriteString("retried and the latest ")
	}
	body.WriteString("reset reason: " + reason.String())
	details.WriteString("upstream_reset_before_response_started{")
	if f.responseStarted {
		details.Reset()
		details.WriteString("upstream_reset_after_response_started{")
	}
	details.WriteString(reason.String())
	if failure != "" {
		details.WriteString("|" + failure)
	}
	details.WriteString("}")
	f.abort(code, flag, body.String(), overloaded, strings.ReplaceAll(details.String(), " ", "_"))
}

func flagOf(reason http.ResetReason) streaminfo.Flags {
	switch reason {
	case http.LocalConnectionFailure, http.RemoteConnectionFailure, http.ConnectionTimeout:
		return streaminfo.UpstreamConnectionFailure
	case http.ConnectionTermination, http.Http1PrematureUpstreamHalfClose:
		return streaminfo.UpstreamConnectionTermination
	case http.LocalReset, http.LocalRefusedStreamReset:
		return streaminfo.LocalReset
	case http.Overflow:
		return streaminfo.UpstreamOverflow
	case http.ProtocolError:
		return streaminfo.UpstreamProtocolError
	case http.OverloadManagerReset:
		return streaminfo.OverloadManager
	}
	return streaminfo.UpstreamRemoteReset
}

// healthCode is the status that a response counts as in outlier detection:
// that of its grpc-status, if its head has one.
func (f *filter) healthCode(code int, h *http.HeaderMap) int {
	if f.grpc && h.Has(http.GrpcStatus) {
		if n, err := strconv.Atoi(h.Get(http.GrpcStatus)); err == nil && n >= 0 && n < len(grpcToHTTP) {
			return grpcToHTTP[n]
		}
	}
	return code
}

// grpcToHTTP are the statuses that gRPC codes amount to (google.rpc.Code).
var grpcToHTTP = [...]int{200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401}

func statusOf(h *http.HeaderMap) int {
	v := h.Get(http.Status)
	if len(v) != 3 {
		return 0
	}
	return int(v[0]-'0')*100 + int(v[1]-'0')*10 + int(v[2]-'0')
}

// grpcSucceeded tells whether the fields have a grpc-status, and none of those
// that Envoy takes for a server error: unknown, deadline exceeded,
// unimplemented, internal, unavailable, data loss.
func grpcSucceeded(h *http.HeaderMap) bool {
	switch h.Get(http.GrpcStatus) {
	case "2", "4", "12", "13", "14", "15":
		return false
	}
	return h.Has(http.GrpcStatus)
}

// count counts the try's response with its host.
func (u *upstreamRequest) count(success bool) {
	u.undecided = false
	if s := u.host.Stats(u.f.cb.Worker()); success {
		s.RqSuccess++
	} else {
		s.RqError++
	}
}

// countBroken counts a gRPC response that ends before its status has come.
func (u *upstreamRequest) countBroken() {
	if u.undecided {
		u.count(false)
		u.f.stats.RqResetAfterDownstreamResponseStarted.Inc()
	}
}
