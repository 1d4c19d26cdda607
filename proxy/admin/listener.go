package admin

import (
	"fmt"
	"net/http"
	"net/netip"
)

// address is an envoy.config.core.v3.Address as protobuf prints it.
type address struct {
	SocketAddress *socketAddress `json:"socket_address,omitempty"`
	Pipe          *pipe          `json:"pipe,omitempty"`
}

type socketAddress struct {
	Address   string `json:"address"`
	PortValue uint16 `json:"port_value"`
}

type pipe struct {
	Path string `json:"path"`
}

func newAddress(s string) address {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return address{SocketAddress: &socketAddress{ap.Addr().String(), ap.Port()}}
	}
	return address{Pipe: &pipe{s}}
}

type listenersDump struct {
	ListenerStatuses []listenerStatus `json:"listener_statuses,omitempty"`
}

type listenerStatus struct {
	Name                     string    `json:"name"`
	LocalAddress             address   `json:"local_address"`
	AdditionalLocalAddresses []address `json:"additional_local_addresses,omitempty"`
}

func (s *Server) listeners(w http.ResponseWriter, r *http.Request) error {
	if s.sources.Listeners == nil {
		return errNotSupported
	}
	listeners, err := s.sources.Listeners(r.Context())
	if err != nil {
		return err
	}
	if r.URL.Query().Get("format") == "json" {
		var dump listenersDump
		for _, l := range listeners {
			out := listenerStatus{Name: l.Name}
			for i, a := range l.Addresses {
				if i == 0 {
					out.LocalAddress = newAddress(a)
				} else {
					out.AdditionalLocalAddresses = append(out.AdditionalLocalAddresses, newAddress(a))
				}
			}
			dump.ListenerStatuses = append(dump.ListenerStatuses, out)
		}
		return writeJSON(w, dump)
	}
	for _, l := range listeners {
		for _, a := range l.Addresses {
			fmt.Fprintf(w, "%s::%s\n", l.Name, a)
		}
	}
	return nil
}
