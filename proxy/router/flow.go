package router

// OnDownstreamAboveHighWatermark implements http.DownstreamWatermarks: the
// client is slow, so the upstream has to wait.
func (f *filter) OnDownstreamAboveHighWatermark() { f.pauseResponse(true) }

// OnDownstreamBelowLowWatermark implements http.DownstreamWatermarks.
func (f *filter) OnDownstreamBelowLowWatermark() { f.pauseResponse(false) }

func (f *filter) pauseResponse(on bool) {
	if f.attempt != nil {
		f.attempt.pauseResponse(on)
	}
}

func (u *upstreamRequest) pauseResponse(on bool) {
	if u.enc == nil {
		return
	}
	st := u.f.cluster.Stats()
	if on {
		u.paused++
		st.UpstreamFlowControlPaused.Inc()
	} else {
		if u.paused == 0 {
			return
		}
		u.paused--
		st.UpstreamFlowControlResumed.Inc()
	}
	u.enc.ReadDisable(on)
}

// OnAboveWriteBufferHighWatermark implements http.StreamCallbacks: the
// upstream does not take the request, so the client has to wait.
func (u *upstreamRequest) OnAboveWriteBufferHighWatermark() {
	if u.backedUp {
		return
	}
	u.backedUp = true
	u.f.cluster.Stats().UpstreamFlowControlBackedUp.Inc()
	u.f.cb.OnDecoderAboveHighWatermark()
}

// OnBelowWriteBufferLowWatermark implements http.StreamCallbacks.
func (u *upstreamRequest) OnBelowWriteBufferLowWatermark() {
	if !u.backedUp {
		return
	}
	u.backedUp = false
	u.f.cluster.Stats().UpstreamFlowControlDrained.Inc()
	u.f.cb.OnDecoderBelowLowWatermark()
}
