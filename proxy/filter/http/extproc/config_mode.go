package extproc

import (
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"

	"github.com/weirproxy/weir/internal/field"
)

func compileMode(p field.Path, c *extprocv3.ProcessingMode) (mode, error) {
	m := overrideMode(defaultMode, c)
	for d, b := range [2]extprocv3.ProcessingMode_BodySendMode{c.GetRequestBodyMode(), c.GetResponseBodyMode()} {
		dp := p.Dot([]string{"request_body_mode", "response_body_mode"}[d])
		if _, known := bodyModes[b]; !known {
			return m, dp.Errorf("weir does not support %v", b)
		}
		if m[d].body == duplex && !m[d].trailers {
			return m, dp.Errorf("%v needs the trailers to be sent as well", b)
		}
	}
	return m, nil
}

// overrideMode is a mode changed as c says, whose DEFAULT leaves things as they
// are; not so for bodies, which it always speaks of.
func overrideMode(m mode, c *extprocv3.ProcessingMode) mode {
	for d, x := range [2]struct {
		headers, trailers extprocv3.ProcessingMode_HeaderSendMode
		body              extprocv3.ProcessingMode_BodySendMode
	}{
		{c.GetRequestHeaderMode(), c.GetRequestTrailerMode(), c.GetRequestBodyMode()},
		{c.GetResponseHeaderMode(), c.GetResponseTrailerMode(), c.GetResponseBodyMode()},
	} {
		if x.headers != extprocv3.ProcessingMode_DEFAULT {
			m[d].headers = x.headers == extprocv3.ProcessingMode_SEND
		}
		if x.trailers != extprocv3.ProcessingMode_DEFAULT {
			m[d].trailers = x.trailers == extprocv3.ProcessingMode_SEND
		}
		m[d].body = bodyModes[x.body]
	}
	return m
}

var bodyModes = map[extprocv3.ProcessingMode_BodySendMode]bodyMode{
	extprocv3.ProcessingMode_NONE: none, extprocv3.ProcessingMode_STREAMED: streamed, extprocv3.ProcessingMode_BUFFERED: buffered,
	extprocv3.ProcessingMode_BUFFERED_PARTIAL: bufferedPartial, extprocv3.ProcessingMode_FULL_DUPLEX_STREAMED: duplex,
}
