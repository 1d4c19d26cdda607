package cluster

// PriorityLoad is the share of the load, in percent, that each priority's
// healthy and degraded hosts get, and which priorities are in panic: use all
// their hosts whatever their health.
type PriorityLoad struct {
	Healthy, Degraded []uint32
	Panic             []bool
	TotalPanic        bool
}
