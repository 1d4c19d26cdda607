package redirect

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/weirproxy/weir/bpf"
)

// SetServices makes services the ones whose connections, from managed pods, go
// to one of their endpoints at connect, past the proxy. Each has endpoints, all
// of its own address's family. A connect sees a service as it was or as it is.
func (r *Redirect) SetServices(services map[netip.AddrPort][]netip.AddrPort) error {
	if len(services) > 0 {
		if err := errors.Join(r.enableGetpeername(), r.setBalancing(true)); err != nil {
			return err
		}
	}
	old, err := r.services()
	if err != nil {
		return err
	}
	first := r.balanced == nil // another agent's may be there
	if first {
		r.balanced = map[netip.AddrPort][]netip.AddrPort{}
	}
	generation := uint32(0)
	for s := range maps.Values(old) {
		generation = max(generation, s.Generation)
	}
	var errs []error
	var gone []bpf.WeirLbService
	for address, endpoints := range services {
		if slices.Equal(r.balanced[address], endpoints) {
			continue
		}
		generation++
		if err := r.putService(lbAddr(address), generation, endpoints); err != nil {
			errs = append(errs, err)
			continue
		}
		r.balanced[address] = endpoints
		gone = append(gone, old[lbAddr(address)])
	}
	for service, value := range old {
		address := addrPortOf(service)
		if _, ok := services[address]; ok {
			continue
		}
		errs = append(errs, r.objects.WeirLbServices.Delete(service))
		delete(r.balanced, address)
		gone = append(gone, value)
	}
	if len(services) == 0 {
		errs = append(errs, r.setBalancing(false))
	}
	if first {
		return errors.Join(append(errs, r.removeStrayEndpoints())...)
	}
	return errors.Join(append(errs, r.removeEndpoints(gone))...)
}

// setBalancing has connects ask for services, which most nodes have none of.
func (r *Redirect) setBalancing(on bool) error {
	return changeSettings(r.objects.WeirSettings, func(s *bpf.WeirSettings) { s.Balancing = number[uint32](on) })
}

// removeEndpoints removes those of services as they were.
func (r *Redirect) removeEndpoints(gone []bpf.WeirLbService) error {
	var errs []error
	for _, s := range gone {
		for i := range s.Count {
			err := r.objects.WeirLbEndpoints.Delete(bpf.WeirLbEndpoint{Generation: s.Generation, Index: i})
			if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// services are those that the kernel has.
func (r *Redirect) services() (map[bpf.WeirLbAddr]bpf.WeirLbService, error) {
	all := map[bpf.WeirLbAddr]bpf.WeirLbService{}
	var key bpf.WeirLbAddr
	var value bpf.WeirLbService
	it := r.objects.WeirLbServices.Iterate()
	for it.Next(&key, &value) {
		all[key] = value
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("weir_lb_services: %w", err)
	}
	return all, nil
}

// putService writes the endpoints first, under a generation of their own.
func (r *Redirect) putService(service bpf.WeirLbAddr, generation uint32, endpoints []netip.AddrPort) error {
	for i, e := range endpoints {
		key := bpf.WeirLbEndpoint{Generation: generation, Index: uint32(i)}
		if err := r.objects.WeirLbEndpoints.Put(key, lbAddr(e)); err != nil {
			return putError(bpf.WeirMapWeirLbEndpoints, r.objects.WeirLbEndpoints, err)
		}
	}
	value := bpf.WeirLbService{Generation: generation, Count: uint32(len(endpoints))}
	if err := r.objects.WeirLbServices.Put(service, value); err != nil {
		return putError(bpf.WeirMapWeirLbServices, r.objects.WeirLbServices, err)
	}
	return nil
}

// removeStrayEndpoints removes those of generations that no service has.
func (r *Redirect) removeStrayEndpoints() error {
	now, err := r.services()
	if err != nil {
		return err
	}
	used := map[uint32]bool{}
	for s := range maps.Values(now) {
		used[s.Generation] = true
	}
	var key bpf.WeirLbEndpoint
	var value bpf.WeirLbAddr
	var unused []bpf.WeirLbEndpoint
	it := r.objects.WeirLbEndpoints.Iterate()
	for it.Next(&key, &value) {
		if !used[key.Generation] {
			unused = append(unused, key)
		}
	}
	errs := []error{it.Err()}
	for _, k := range unused {
		if err := r.objects.WeirLbEndpoints.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func lbAddr(a netip.AddrPort) bpf.WeirLbAddr {
	return bpf.WeirLbAddr{Addr: a.Addr().As16(), Port: a.Port()}
}

func addrPortOf(a bpf.WeirLbAddr) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), a.Port)
}
