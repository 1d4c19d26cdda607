package cluster

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/upstream/orca"
)

// TakeLoadReport gives the load report in a response's headers or trailers, if
// there is one, to the load balancer that asked for it.
func (h *Host) TakeLoadReport(m *http.HeaderMap) {
	f := h.loadReport.Load()
	if f == nil {
		return
	}
	if r, ok := orca.Parse(m); ok {
		(*f)(&r)
	}
}

// OnLoadReport sets what is called, on workers, with each load report.
func (h *Host) OnLoadReport(f func(*orca.Report)) { h.loadReport.Store(&f) }
