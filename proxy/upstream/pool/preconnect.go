package pool

import "github.com/weirproxy/weir/proxy/upstream/cluster"

// atOnce bounds how many connections one request makes. As ratios go up to 3,
// it is only less than what is wanted when many connections have gone at once.
const atOnce = 3

// Load is what the pools of one cluster, or a single one, have to carry.
type Load struct {
	Pending, Active int // requests that wait, and those under way
	Capacity        int // for further ones on connections that are there or being made
}

// Short tells whether another connection is needed so that ratio times the
// streams that there are, and those to come, have a place.
func (l Load) Short(ratio float64, coming int) bool {
	return float64(l.Pending+l.Active+coming)*ratio > float64(l.Capacity+l.Active)
}

// short tells whether the pool needs another connection. Hosts that are not
// healthy get none ahead of requests.
func (p *base) short(l Load) bool {
	ratio := p.o.Info.Preconnect.PerUpstream
	if ratio <= 1 || p.host.Usability() != cluster.Healthy {
		return l.Pending > l.Capacity
	}
	return l.Short(ratio, 0)
}

// preconnects tells whether the pool makes connections ahead of requests.
func (p *base) preconnects() bool { return p.o.Info.Preconnect.PerUpstream > 1 && !p.draining }
