package router

import (
	"strconv"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// strictlyValid checks the headers of strict_check_headers, and answers 400
// when one has a value that means nothing.
func (f *filter) strictlyValid(h *http.HeaderMap) bool {
	for _, id := range f.cfg.strict {
		if !h.Has(id) || meansSomething(id, h.Get(id)) {
			continue
		}
		f.cb.StreamInfo().SetFlag(streaminfo.InvalidEnvoyRequestHeaders)
		name := id.Name()
		f.reply(400, "invalid header '"+name+"' with value '"+h.Get(id)+"'", false, "request_headers_failed_strict_check{"+name+"}")
		return false
	}
	return true
}

func meansSomething(id http.HeaderID, value string) bool {
	switch id {
	case http.XEnvoyRetryOn, http.XEnvoyRetryGrpcOn:
		_, unknown := route.ParseRetryOn(value)
		return unknown == ""
	default:
		_, err := strconv.ParseUint(value, 10, 32)
		return err == nil
	}
}
