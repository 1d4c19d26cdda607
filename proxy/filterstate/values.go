package filterstate

import (
	"net/netip"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/network"
)

// Values are objects to be set.
type Values []value

type value struct {
	name      string
	format    *formatter.Formatter
	readOnly  bool // stays as it was first set
	skipEmpty bool
	address   bool // an IP address and port, or nothing is set
	sharing   network.Sharing
}

// State is the filter state of a stream or of a connection.
type State interface {
	// FilterStateObject is the object of that name.
	FilterStateObject(name string) (object any, ok bool)
	SetFilterState(name string, object any)
}

// Set makes the objects from what c knows and sets them in state.
func (vs Values) Set(c *formatter.Context, state State) {
	for i := range vs {
		v := &vs[i]
		if _, have := state.FilterStateObject(v.name); have && v.readOnly {
			continue
		}
		text := v.format.Format(c)
		if text == "" && v.skipEmpty || v.address && !isAddress(text) {
			continue
		}
		state.SetFilterState(v.name, text)
		v.share(state)
	}
}

// share notes whether the object is shared, if that has changed.
func (v *value) share(state State) {
	entry, have := state.FilterStateObject(network.SharingKey)
	if v.sharing == network.ShareNot && !have {
		return
	}
	names, _ := entry.(network.SharedNames)
	state.SetFilterState(network.SharingKey, names.With(v.name, v.sharing))
}

func isAddress(text string) bool {
	_, err := netip.ParseAddrPort(text)
	return err == nil
}
