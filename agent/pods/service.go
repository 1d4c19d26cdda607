package pods

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// Service is an address of a plain TCP service: what managed pods connect to
// it goes to one of its endpoints at connect, past the proxy.
type Service struct {
	Name      string           `json:"name,omitempty"` // for people
	Address   netip.AddrPort   `json:"address"`
	Endpoints []netip.AddrPort `json:"endpoints"`
}

func (s *Service) key() string { return s.Address.String() }

// maxEndpoints bounds a service's: the kernel's map is shared by all.
const maxEndpoints = 4096

// Check tells what is wrong with it.
func (s *Service) Check() error {
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !isTarget(s.Address) {
		refuse("address: %s is not an IP address with a port", s.Address)
	}
	if len(s.Endpoints) == 0 || len(s.Endpoints) > maxEndpoints {
		refuse("endpoints: there are %d; a service has 1 to %d", len(s.Endpoints), maxEndpoints)
	}
	for i, e := range s.Endpoints {
		if !isTarget(e) || e.Addr().Is4() != s.Address.Addr().Is4() {
			refuse("endpoints[%d]: %s is not an address with a port, of the service's family", i, e)
		}
	}
	return errors.Join(errs...)
}

func isTarget(a netip.AddrPort) bool {
	return a.IsValid() && a.Port() != 0 && a.Addr().IsGlobalUnicast() && !a.Addr().Is4In6() && a.Addr().Zone() == ""
}

// ServiceSource is where services come from, besides the configuration file.
type ServiceSource interface {
	// Run keeps the source informed until ctx is done.
	Run(ctx context.Context) error
	// Services are those that are to be balanced now. known is false as long
	// as the source has nothing to go by: what holds until then stays.
	Services() (services []Service, known bool)
	// Changed receives when Services may have something new to say.
	Changed() <-chan struct{}
}
