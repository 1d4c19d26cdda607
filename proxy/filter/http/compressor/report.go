package compressor

import "github.com/weirproxy/weir/proxy/http"

// statusHeader says of a response whether it was compressed, and why not.
const statusHeader = "x-envoy-compression-status"

// encodeAndReport is EncodeHeaders with a status header. As in Envoy, what
// forbids compression is asked in another order then, the client last: the
// header is to say what is wrong with the response.
func (f *filter) encodeAndReport(h *http.HeaderMap, end bool) {
	if !f.respondingOn || h.Has(http.Upgrade) || noTransform(h) || h.Has(http.ContentEncoding) {
		f.out.NotCompressed.Inc()
		return
	}
	reason := f.unfit(h)
	if reason != "" {
		f.out.NotCompressed.Inc()
		if end {
			return
		}
		if reason == tooSmall {
			f.out.TooSmall.Inc() // a second time, as in Envoy
		}
		f.report(h, reason)
		return
	}
	if !end && f.accepted(h) && plainTransfer(h) {
		f.report(h, h.Concat("Compressed;OriginalLength=", h.Get(http.ContentLength)))
		f.startEncoding(h)
	} else {
		f.out.NotCompressed.Inc()
	}
	addVary(h)
}

const tooSmall = "ContentLengthTooSmall"

// unfit is what keeps the response from being compressed, "" when nothing does.
func (f *filter) unfit(h *http.HeaderMap) string {
	switch {
	case !f.response.longEnough(h, f.out):
		return tooSmall
	case !f.response.takesType(h):
		return "ContentTypeNotAllowed"
	case !f.etagAllows(h):
		return "EtagNotAllowed"
	case f.isUncompressible(h):
		return "StatusCodeNotAllowed"
	}
	return ""
}

func (f *filter) report(h *http.HeaderMap, status string) {
	h.AddName(statusHeader, h.Concat(f.lib().Encoding, ";", status))
}
