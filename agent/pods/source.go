package pods

import "context"

// Source is where pods come from, besides the agent's own lists.
type Source interface {
	// Name is the source's in status and logs.
	Name() string
	// Run keeps the source informed until ctx is done.
	Run(ctx context.Context) error
	// Pods are the completed specs of the pods that are wanted now. known is
	// false as long as the source has nothing to go by: what it asked for
	// before then stays.
	Pods() (specs []Spec, known bool)
	// Changed receives when Pods may have something new to say.
	Changed() <-chan struct{}
}
