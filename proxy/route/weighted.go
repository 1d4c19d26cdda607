package route

import (
	"strconv"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream/lb"
)

// weightedClusters choose among clusters by weight.
type weightedClusters struct {
	clusters []weightedCluster
	total    uint64
	header   string // holds the number that decides
	useHash  *HashPolicy
	runtime  Runtime // nil unless weights may change by runtime
}

type weightedCluster struct {
	route         Route
	name, header  string // one of them
	weight        uint64
	runtimeKey    string
	hostRewrite   string
	metadataMatch []lb.MetadataCriterion
	mutations     mutations
	filterConfigs filterConfigs
}

// pick is the route of the cluster into whose share the number falls.
func (w *weightedClusters) pick(h *http.HeaderMap, info *streaminfo.Info, random uint64) *Route {
	total := w.total
	if w.runtime != nil {
		total = 0
		for i := range w.clusters {
			total += w.clusters[i].weightNow(w.runtime)
		}
		if total == 0 {
			total = 1
		}
	}
	n := w.number(h, info, random) % total
	for i := range w.clusters {
		c := &w.clusters[i]
		weight := c.weightNow(w.runtime)
		if n < weight {
			return &c.route
		}
		n -= weight
	}
	return &w.clusters[len(w.clusters)-1].route
}

func (c *weightedCluster) weightNow(r Runtime) uint64 { return r.Get(c.runtimeKey, c.weight) }

// number is the request's: of a header that has exactly one line and is a
// number, of the hash policy, or the random one.
func (w *weightedClusters) number(h *http.HeaderMap, info *streaminfo.Info, random uint64) uint64 {
	switch {
	case w.header != "":
		n, lines := uint64(0), 0
		for l := range h.All {
			if l.Name != w.header {
				continue
			}
			v, err := strconv.ParseUint(l.Value, 10, 64)
			if err != nil {
				return random
			}
			n = v
			lines++
		}
		if lines == 1 {
			return n
		}
	case w.useHash != nil:
		if n, ok := w.useHash.Key(h, info, nil); ok {
			return n
		}
	}
	return random
}
