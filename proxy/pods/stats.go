package pods

import "github.com/weirproxy/weir/proxy/stats"

// Direction is which of a pod's connections are meant.
type Direction uint8

// The directions, as the pod sees them.
const (
	Outbound Direction = iota
	Inbound
)

func (d Direction) String() string { return [...]string{"outbound", "inbound"}[d] }

// Stats count a pod's accepted connections of one direction, at
// pod.<namespace>.<name>.<direction>. with all three as tags. There are as
// many as the node has pods; they go with the pod.
type Stats struct {
	CxTotal  stats.Counter `stat:"downstream_cx_total"`
	CxActive stats.Gauge   `stat:"downstream_cx_active"`
	RxBytes  stats.Counter `stat:"downstream_cx_rx_bytes_total"`
	TxBytes  stats.Counter `stat:"downstream_cx_tx_bytes_total"`
}

// Stats are an owner's share (see [stats.Group.For]).
func (p *Pod) Stats(d Direction, owner int) *Stats { return p.stats[d].For(owner) }

func (p *Pod) openStats(store *stats.Store, who *Identity) {
	for d := range p.stats {
		direction := Direction(d).String()
		p.stats[d] = stats.NewGroup[Stats](store, stats.Scope{
			Prefix: "pod." + who.Namespace + "." + who.Name + "." + direction + ".",
			Base:   "pod.",
			Tags:   []stats.Tag{{Name: "weir.namespace", Value: who.Namespace}, {Name: "weir.pod", Value: who.Name}, {Name: "weir.direction", Value: direction}},
		})
	}
}

func (p *Pod) closeStats() {
	for _, g := range p.stats {
		if g != nil {
			g.Close()
		}
	}
}
