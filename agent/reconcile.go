package agent

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/weirproxy/weir/agent/pods"
)

// reconcileNow is reconcile for those who do not have a.mu.
func (a *Agent) reconcileNow() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reconcile()
}

// wanted are the pods to manage. The caller has a.mu, as everywhere here.
func (a *Agent) wanted() map[string]pods.Spec {
	want := map[string]pods.Spec{}
	for _, specs := range a.sourced {
		for _, s := range specs {
			want[s.Key()] = s
		}
	}
	maps.Copy(want, a.added)
	for _, s := range a.static {
		want[s.Key()] = s
	}
	return want
}

// reconcile makes the managed pods the wanted ones. What fails is tried again
// at the next call, and said once.
func (a *Agent) reconcile() {
	a.askSources()
	a.setServices()
	want := a.wanted()
	changed := false
	for key, p := range a.managed {
		if spec, ok := want[key]; ok && a.isCurrent(p) && a.adjust(p, spec) {
			continue
		}
		a.remove(key, p)
		changed = true
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if a.managed[key] == nil {
			changed = a.add(want[key]) == nil || changed
		}
	}
	for key, reason := range a.failed {
		if _, ok := want[key]; !ok {
			delete(a.failed, key)
			a.log.Info("pod is no longer wanted", "pod", key, "was", reason)
		}
	}
	for _, p := range a.managed {
		a.mendListeners(p)
	}
	a.mendPins()
	if changed {
		a.saveState()
	}
}

// mendPins keeps what is in the kernel there, should this agent end.
func (a *Agent) mendPins() {
	n, err := a.redirect.MendPins()
	if n > 0 {
		a.log.Warn("maps and links were not pinned any more and are again: was the bpf file system unmounted?", "dir", a.opts.BPFDir, "count", n)
	}
	a.tell(&a.unpinned, "maps and links are not pinned: pods will not be caught once this agent ends", err)
}

// tell logs an error once, and again only after it was another.
func (a *Agent) tell(last *string, what string, err error) {
	now := ""
	if err != nil {
		now = err.Error()
	}
	if now != "" && now != *last {
		a.log.Error(what, "error", err)
	}
	*last = now
}

// setServices tells the kernel of the services, when they have changed. Until
// their source knows, those of the last agent stay.
func (a *Agent) setServices() {
	want := slices.Clone(a.services)
	if a.opts.Services != nil {
		more, known := a.opts.Services.Services()
		if !known {
			return
		}
		want = append(more, want...)
	}
	if a.servicesSet && reflect.DeepEqual(want, a.balanced) {
		return
	}
	services := map[netip.AddrPort][]netip.AddrPort{}
	for _, s := range want { // the file's are the last
		services[s.Address] = s.Endpoints
	}
	err := a.redirect.SetServices(services)
	if a.tell(&a.unbalanced, "services are not balanced", err); err != nil {
		return // tried again
	}
	if len(want)+len(a.balanced) > 0 {
		a.log.Info("services are balanced at connect", "services", len(services))
	}
	a.balanced, a.servicesSet = want, true
}

// askSources learns what the sources want now.
func (a *Agent) askSources() {
	for _, source := range a.opts.Sources {
		if specs, known := source.Pods(); known {
			a.sourced[source.Name()] = specs
		}
	}
}

// adjust makes p what spec says, if that needs no other sockets or routes;
// connections are not disturbed.
func (a *Agent) adjust(p *pod, spec pods.Spec) bool {
	if reflect.DeepEqual(spec, p.spec) {
		return true
	}
	if !spec.SameSockets(p.spec) {
		return false
	}
	old := p.spec
	p.spec = spec
	entry, err := p.entry()
	if err == nil {
		err = a.redirect.PutPod(entry)
	}
	if err != nil {
		p.spec = old
		a.log.Warn("pod is not changed", "pod", spec.Key(), "error", err)
		return false
	}
	a.log.Info("pod is changed", "pod", spec.Key(), "id", p.id, "policy", spec.Policy, "exclude_inbound_ports", spec.ExcludeInboundPorts)
	p.changed = p.changed || !reflect.DeepEqual(spec.Identity, old.Identity)
	return true
}

// add starts to manage a pod. Its failure is remembered for status.
func (a *Agent) add(spec pods.Spec) error {
	key := spec.Key()
	err := a.tryAdd(spec)
	if err == nil {
		delete(a.failed, key)
		return nil
	}
	if a.failed[key] != err.Error() {
		a.log.Warn("pod is not caught", "pod", key, "error", err)
	}
	a.failed[key] = err.Error()
	return err
}

func (a *Agent) tryAdd(spec pods.Spec) error {
	p, err := openPod(spec, a.opts.Exclude)
	if err != nil {
		return err
	}
	if err := a.checkNamespace(p); err != nil {
		p.close()
		return err
	}
	p.id = a.idFor(p)
	p.dns = a.wantsDNS(&spec)
	if _, p.dnsWas, _, err = a.redirect.DNSOf(p.cookie); err != nil {
		p.close()
		return err
	}
	a.saveState(p) // should this be its end, the next knows where to clean up
	if err := a.catch(p); err != nil {
		return errors.Join(err, a.letGo(p))
	}
	a.managed[spec.Key()] = p
	a.byID[p.id] = p
	a.log.Info("pod is caught", "pod", spec.Key(), "id", p.id, "mode", spec.Mode, "addresses", p.addresses)
	a.announce(p)
	return nil
}

// checkNamespace refuses what would catch more than the pod.
func (a *Agent) checkNamespace(p *pod) error {
	if p.cookie == a.cookie {
		return fmt.Errorf("%s is the node's own network namespace: all of the node would be caught", p.ns.Path())
	}
	for _, other := range a.managed {
		if other.cookie == p.cookie {
			return fmt.Errorf("pod %s has the same network namespace", other.spec.Key())
		}
	}
	return nil
}

// idFor is a new ID, or the one that the pod had with the last agent.
func (a *Agent) idFor(p *pod) uint32 {
	if id, ok := a.inherited[p.cookie]; ok {
		delete(a.inherited, p.cookie)
		return id
	}
	a.lastID++
	return a.lastID
}

func (a *Agent) remove(key string, p *pod) {
	delete(a.managed, key)
	delete(a.byID, p.id)
	if err := a.letGo(p); err != nil {
		a.log.Error("pod is let go, but not all of it", "pod", key, "error", err)
		return
	}
	a.log.Info("pod is let go", "pod", key, "id", p.id)
}

// adoptGrace is how long a proxy that outlived the last agent may take to
// return its sockets, once another proxy waits for them.
const adoptGrace = 5 * time.Second

// mendListeners makes what is missing, once no proxy has it any more or the
// one that has it does not return it.
func (a *Agent) mendListeners(p *pod) {
	if !p.isComplete() {
		overdue := time.Since(a.started) > adoptGrace && len(a.server.Proxies()) > 0
		err := a.remakeListeners(p, overdue)
		if a.tell(&p.missing, "listeners of pod "+p.spec.Key()+" are missing", err); err != nil {
			return
		}
	}
	a.announce(p)
}

func (a *Agent) remakeListeners(p *pod, overdue bool) error {
	if err := a.makeListeners(p, overdue); err != nil {
		return err
	}
	entry, err := p.entry() // their ports may be others
	if err != nil {
		return err
	}
	return a.redirect.PutPod(entry)
}

// announce tells the proxies of a pod when all of its listeners are there, and
// again when they should know of a change.
func (a *Agent) announce(p *pod) {
	if p.announced && !p.changed || p.spec.External() || !p.isComplete() {
		return
	}
	p.announced, p.changed = true, false
	a.server.Add(p.forProxy())
}

// inherit learns the pods that the last agent left in the kernel.
func (a *Agent) inherit() (err error) {
	a.inherited, err = a.redirect.PodCookies()
	for _, id := range a.inherited {
		a.lastID = max(a.lastID, id)
	}
	return err
}

// disown lets go of the inherited pods that are not wanted any more, or that
// went while there was no agent.
func (a *Agent) disown(saved map[string]savedPod) error {
	var errs []error
	for cookie, id := range a.inherited {
		a.log.Info("a pod of the last agent is let go", "id", id, "netns_cookie", cookie)
		errs = append(errs, a.redirect.RemovePod(id, cookie), a.redirect.DetachNetns(id))
	}
	a.inherited = nil
	for key, p := range saved {
		if now := a.managed[key]; now == nil || now.cookie != p.Cookie {
			_, err := cleanNetns(p)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
