package handoff

import (
	"fmt"
	"reflect"

	"golang.org/x/sys/unix"
)

// heldPod is a pod that the client was given: its own copies of the listening
// sockets, to return them to an agent that was started again.
type heldPod struct {
	told      Pod // as the receiver knows it; without its listeners
	listeners []Listener
	cookies   []uint64
}

func (c *Client) returnHeld(conn *conn) error {
	for id, pod := range c.pods { // only this goroutine changes it
		for _, l := range pod.listeners {
			if l.Direction == DNS && !conn.dns {
				continue
			}
			if err := conn.send(&message{Type: typeHeld, ID: id, Listener: &l}, l.FD); err != nil {
				return err
			}
		}
	}
	return conn.send(&message{Type: typeReady})
}

// podAdded takes the descriptors over. Of a pod that is known with the same
// sockets only the rest can be news.
func (c *Client) podAdded(p Pod, fds []int, events Events) error {
	cookies := make([]uint64, len(p.Listeners))
	for i, fd := range fds[:len(cookies)] {
		p.Listeners[i].FD = fd
		cookies[i] = socketCookie(fd)
	}
	old, known := c.pods[p.ID]
	if known && equalSets(old.cookies, cookies) {
		if p.HasDNS() {
			events.DNSServersMoved(p.ID, p.DNSSlot, fds[len(cookies)])
			fds = fds[:len(cookies)]
		}
		closeAll(fds)
		c.fillPools(p)
		if p.Listeners = nil; !reflect.DeepEqual(p, old.told) {
			old.told = p
			events.PodChanged(p)
		}
		return nil
	}
	held, err := hold(p, cookies)
	if err != nil {
		closeAll(fds)
		return err
	}
	if known {
		c.podRemoved(p.ID, events)
	}
	c.mu.Lock()
	c.pods[p.ID] = held
	c.mu.Unlock()
	c.fillPools(p)
	if p.HasDNS() {
		p.DNSServers = fds[len(cookies)]
	}
	events.PodAdded(p)
	return nil
}

func (c *Client) fillPools(p Pod) {
	c.mu.Lock()
	defer c.mu.Unlock()
	protocols := []Protocol{TCP}
	if p.HasDNS() {
		protocols = append(protocols, UDP)
	}
	if p.KeepClientAddress {
		protocols = append(protocols, TransparentTCP)
	}
	for _, a := range p.Addresses {
		for _, protocol := range protocols {
			key := poolKey{p.ID, familyOf(a), protocol}
			if c.pools[key] == nil {
				c.pools[key] = newPool()
			}
			c.refill(key)
		}
	}
}

func hold(p Pod, cookies []uint64) (*heldPod, error) {
	held := &heldPod{told: p, cookies: cookies}
	held.told.Listeners = nil
	for _, l := range p.Listeners {
		fd, err := unix.FcntlInt(uintptr(l.FD), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			held.close()
			return nil, fmt.Errorf("keep the sockets of pod %s: %w", p.Name, err)
		}
		l.FD = fd
		held.listeners = append(held.listeners, l)
	}
	return held, nil
}

func (h *heldPod) close() {
	for _, l := range h.listeners {
		unix.Close(l.FD)
	}
}

func (c *Client) podRemoved(id uint32, events Events) {
	c.mu.Lock()
	_, known := c.pods[id]
	c.forget(id)
	c.mu.Unlock()
	if known {
		events.PodRemoved(id)
	}
}

// forget closes the client's own descriptors of a pod. The caller has c.mu.
func (c *Client) forget(id uint32) {
	if pod, ok := c.pods[id]; ok {
		pod.close()
		delete(c.pods, id)
	}
	for _, f := range []Family{IPv4, IPv6} {
		for _, protocol := range protocols {
			key := poolKey{id, f, protocol}
			if p, ok := c.pools[key]; ok {
				closeAll(p.fds)
				p.fds = nil
				delete(c.pools, key)
				p.wake()
			}
		}
	}
}

func (c *Client) unannounced(announced map[uint32]bool) (ids []uint32) {
	for id := range c.pods {
		if !announced[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

func equalSets(a, b []uint64) bool {
	if len(a) != len(b) {
		return false
	}
	in := map[uint64]bool{}
	for _, x := range a {
		in[x] = true
	}
	for _, x := range b {
		if x == 0 || !in[x] {
			return false
		}
	}
	return true
}
