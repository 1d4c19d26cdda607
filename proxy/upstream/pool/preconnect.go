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

// connector is a pool of HTTP connections, of either version.
type connector interface {
	Load() Load
	short(Load) bool
	// connect makes a connection, if circuit breakers let it.
	connect() (made bool, err error)
}

// preconnect makes a connection of the pool c, which p is the base of, if it is
// short of them by the ratio.
func (p *base) preconnect(c connector, ratio float64) bool {
	if p.draining || p.o.closed || p.host.Usability() != cluster.Healthy || !c.Load().Short(ratio, 1) {
		return false
	}
	made, _ := c.connect()
	return made
}

// connectIfNeeded makes connections for the requests that wait, unless those
// that are there have room for them, or will have once they stand, and for
// those to come.
func connectIfNeeded(p connector) error {
	for range atOnce {
		if !p.short(p.Load()) {
			break
		}
		if made, err := p.connect(); !made {
			return err
		}
	}
	return nil
}
