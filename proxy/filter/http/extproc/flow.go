package extproc

// maxUnanswered is how many bytes of a message the processor may have without
// having answered before whoever sends it is asked to wait.
const maxUnanswered = 1 << 20

// onWritable is told when the processor takes no more for now, and when it
// does again.
func (f *filter) onWritable(yes bool) {
	f.congested = !yes
	f.throttle()
}

func (f *filter) throttle() {
	for d := range f.phases {
		if p := &f.phases[d]; p.f != nil && !f.dead {
			p.throttle()
		}
	}
}

// throttle has the client wait with the request, or the upstream with the
// response, while the processor is slow.
func (p *phase) throttle() {
	f := p.f
	switch {
	case p.paused && (f.over || !f.congested && p.unanswered <= maxUnanswered/2):
		p.paused = false
		if p.d == request {
			f.cb.OnDecoderBelowLowWatermark()
		} else {
			f.cb.OnEncoderBelowLowWatermark()
		}
	case !p.paused && !f.over && p.streaming && !p.end && (f.congested || p.unanswered > maxUnanswered):
		p.paused = true
		if p.d == request {
			f.cb.OnDecoderAboveHighWatermark()
		} else {
			f.cb.OnEncoderAboveHighWatermark()
		}
	}
}
