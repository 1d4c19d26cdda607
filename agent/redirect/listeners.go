package redirect

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/weirproxy/weir/bpf"
)

// Kind is which of a pod's connections a listening socket takes.
type Kind = bpf.WeirListenerKind

// The kinds of listeners: one a direction and address family.
const (
	Outbound4 = bpf.WeirListenerKindLISTENER_OUTBOUND4
	Outbound6 = bpf.WeirListenerKindLISTENER_OUTBOUND6
	Inbound4  = bpf.WeirListenerKindLISTENER_INBOUND4
	Inbound6  = bpf.WeirListenerKindLISTENER_INBOUND6
)

var kinds = []Kind{Outbound4, Outbound6, Inbound4, Inbound6, DNS4, DNS6}

// SetListener makes a listening socket the one that takes the pod's
// connections of that kind. The kernel forgets it when its last descriptor is
// closed, whoever has that.
func (r *Redirect) SetListener(podID uint32, kind Kind, fd int) error {
	key := bpf.WeirListenerKey{PodId: podID, Kind: kind}
	if err := r.objects.WeirListeners.Put(key, uint64(fd)); err != nil {
		return putError(bpf.WeirMapWeirListeners, r.objects.WeirListeners, err)
	}
	return nil
}

// Listener is the cookie (SO_COOKIE) of the socket that takes the pod's
// connections of that kind; ok is false when there is none alive.
func (r *Redirect) Listener(podID uint32, kind Kind) (cookie uint64, ok bool, err error) {
	key := bpf.WeirListenerKey{PodId: podID, Kind: kind}
	switch err := r.objects.WeirListeners.Lookup(key, &cookie); {
	case errors.Is(err, ebpf.ErrKeyNotExist):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("weir_listeners, pod %d, kind %d: %w", podID, kind, err)
	}
	return cookie, true, nil
}

func (r *Redirect) removeListeners(podID uint32) error {
	var errs []error
	for _, kind := range kinds {
		err := r.objects.WeirListeners.Delete(bpf.WeirListenerKey{PodId: podID, Kind: kind})
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, fmt.Errorf("weir_listeners, pod %d, kind %d: %w", podID, kind, err))
		}
	}
	return errors.Join(errs...)
}

// Bypass flags a socket so that its connects are never caught. Only the
// holder of the map can: a mark or a port could be forged by the pod.
func (r *Redirect) Bypass(fd int) error {
	if err := r.objects.WeirSkBypass.Put(int32(fd), uint32(1)); err != nil {
		return fmt.Errorf("weir_sk_bypass: %w", err)
	}
	return nil
}

func (r *Redirect) maps() map[string]*ebpf.Map {
	return map[string]*ebpf.Map{
		bpf.WeirMapWeirConnecting:  r.objects.WeirConnecting,
		bpf.WeirMapWeirConnOrig:    r.objects.WeirConnOrig,
		bpf.WeirMapWeirCounters:    r.objects.WeirCounters,
		bpf.WeirMapWeirDnsLock:     r.objects.WeirDnsLock,
		bpf.WeirMapWeirDnsPods:     r.objects.WeirDnsPods,
		bpf.WeirMapWeirDnsServers:  r.objects.WeirDnsServers,
		bpf.WeirMapWeirFlows:       r.objects.WeirFlows,
		bpf.WeirMapWeirHeartbeat:   r.objects.WeirHeartbeat,
		bpf.WeirMapWeirInExclude:   r.objects.WeirInExclude,
		bpf.WeirMapWeirLbEndpoints: r.objects.WeirLbEndpoints,
		bpf.WeirMapWeirLbServices:  r.objects.WeirLbServices,
		bpf.WeirMapWeirListeners:   r.objects.WeirListeners,
		bpf.WeirMapWeirOutCidrs:    r.objects.WeirOutCidrs,
		bpf.WeirMapWeirOutPorts:    r.objects.WeirOutPorts,
		bpf.WeirMapWeirOutUids:     r.objects.WeirOutUids,
		bpf.WeirMapWeirPodAddrs:    r.objects.WeirPodAddrs,
		bpf.WeirMapWeirPods:        r.objects.WeirPods,
		bpf.WeirMapWeirSettings:    r.objects.WeirSettings,
		bpf.WeirMapWeirSkBypass:    r.objects.WeirSkBypass,
		bpf.WeirMapWeirSkOrig:      r.objects.WeirSkOrig,
	}
}
