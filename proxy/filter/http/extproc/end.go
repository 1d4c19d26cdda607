package extproc

import (
	"fmt"
	"strings"

	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/http"
)

// respond answers in the upstream's place.
func (f *filter) respond(r *reply) {
	if f.noImmediate {
		f.spurious("unhandled_immediate_response_due_to_config_disabled_it")
		return
	}
	f.stats.ImmediateResponsesSent.Inc()
	f.noteEnd(grpc.OK)
	f.logging.immediate = true
	f.over = true
	f.closeStream()
	details := strings.ReplaceAll(r.details, " ", "_")
	f.cb.StreamInfo().SetDetails(details) // none in the place of an upstream's
	f.cb.SendLocalReply(r.status, string(r.body), func(h *http.HeaderMap) {
		f.change(h, r) // up to one that is an error
		h.SetInt(http.Status, int64(r.status))
	}, r.grpcStatus, details)
}

// spurious ends processing after a reply that nobody awaited.
func (f *filter) spurious(details string) {
	f.stats.SpuriousMsgsReceived.Inc()
	f.noteEnd(failedPrecondition)
	f.fail(f.errorStatus, details)
}

// goOnAlone lets go of what is held and processes nothing more.
func (f *filter) goOnAlone() {
	f.over = true
	phases := [2]*phase{&f.phases[request], &f.phases[response]}
	pieces := [2][]piece{phases[0].pieces, phases[1].pieces}
	phases[0].pieces, phases[1].pieces = nil, nil
	f.closeStream()
	for d, p := range phases {
		p.pieces = pieces[d]
		if p.f != nil {
			p.release()
		}
	}
}

// onTimeout is the end of the time for a reply.
func (f *filter) onTimeout() {
	if f.over {
		return
	}
	f.stats.MessageTimeouts.Inc()
	f.noteEnd(grpc.DeadlineExceeded)
	f.fail(504, "ext_proc_error_per-message_timeout_exceeded")
}

// OnClose implements grpc.Callbacks: the processor has hung up. It may do so
// when nothing is awaited of it.
func (f *filter) OnClose(s grpc.Status) {
	if f.over {
		return
	}
	f.stats.ServerHalfClosed.Inc()
	if s.Code == grpc.OK {
		f.noteEnd(aborted)
		f.stats.StreamsClosed.Inc()
		f.goOnAlone()
		return
	}
	f.noteEnd(s.Code)
	f.stats.StreamsFailed.Inc()
	if f.passesOver() { // Envoy then ends the conversation in a second way
		f.stats.ServerHalfClosed.Inc()
		f.stats.StreamsClosed.Inc()
	}
	why := s.Details
	if why == "" {
		why = "via_upstream"
	}
	details := fmt.Sprintf("ext_proc_error_gRPC_error_%d", s.Code)
	if s.Message != "" {
		details += "{" + strings.ReplaceAll(s.Message, " ", "_") + "{" + why + "}}"
	}
	f.fail(f.errorStatus, details)
}

// bodyGone tells whether the processor alone has a part of a body, which can
// then not go on without it.
func (f *filter) bodyGone() bool {
	for d := range f.phases {
		if f.now[d].body == duplex && f.phases[d].streaming {
			return true
		}
	}
	return false
}

// passesOver tells whether the stream goes on without a processor that fails.
func (f *filter) passesOver() bool { return f.observe || f.own.failureAllow && !f.bodyGone() }

// fail ends processing: the stream goes on alone, or is answered.
func (f *filter) fail(status int, details string) {
	if f.passesOver() {
		f.stats.FailureModeAllowed.Inc()
		f.logging.failedOpen = !f.logging.answeredAny()
		f.goOnAlone()
		return
	}
	f.stats.ImmediateResponsesSent.Inc()
	f.over = true
	f.closeStream()
	f.cb.SendLocalReply(status, "", nil, http.NoGrpcStatus, details)
}
