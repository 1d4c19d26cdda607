package redirect

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/bpf"
)

// An agent may find maps that another version of weir has pinned, with other
// layouts, in use by that version's programs. It makes new ones, copies what
// is in the old ones, loads its programs with the new ones, has every link run
// them, and pins the new ones over the old ones: at no time does a hook see no
// program, or a program a map without its entries.
//
// The types that the kernel keeps with a map (BTF) say what is where, so any
// two versions can follow each other, in both directions. Who gives a field
// another meaning must give it another name.

// migrated is a map that takes the place of the pinned one.
type migrated struct {
	name string
	m    *ebpf.Map
}

// migrate makes the maps of spec that cannot be the pinned ones. Where a map
// is taken over as it is, spec is made to say so.
func (r *Redirect) migrate(spec *ebpf.CollectionSpec) ([]migrated, error) {
	var done []migrated
	for name, m := range spec.Maps {
		if m.Pinning != ebpf.PinByName {
			continue
		}
		old, err := ebpf.LoadPinnedMap(filepath.Join(r.opts.Dir, name), nil)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return done, fmt.Errorf("pinned map %s: %w", name, err)
		}
		made, err := succeed(m, old)
		err = errors.Join(err, old.Close())
		if made != nil {
			done = append(done, migrated{name, made})
		}
		if err != nil {
			return done, fmt.Errorf("take over %s: %w", name, err)
		}
	}
	return done, nil
}

// succeed returns the map that is to take old's place; nil if old can stay.
func succeed(spec *ebpf.MapSpec, old *ebpf.Map) (*ebpf.Map, error) {
	types, err := typesOf(old)
	if err != nil {
		return nil, err
	}
	keys, err := bothLayouts(types, spec.Key, old.KeySize(), spec.KeySize)
	if err != nil {
		return nil, err
	}
	values, err := bothLayouts(types, spec.Value, old.ValueSize(), spec.ValueSize)
	if err != nil {
		return nil, err
	}
	if old.Type() == spec.Type && keys.areSame() && values.areSame() {
		if old.MaxEntries() == spec.MaxEntries && old.Flags() == spec.Flags {
			return nil, nil
		}
		if !isCopied(spec.Type) {
			spec.MaxEntries, spec.Flags = old.MaxEntries(), old.Flags() // until the node restarts
			return nil, nil
		}
	}
	switch {
	case spec.Name == bpf.WeirMapWeirSkBypass:
		return nil, errors.New("its layout must never change: what the proxy's sockets have cannot be copied")
	case spec.Name == bpf.WeirMapWeirDnsServers && !(keys.areSame() && values.areSame()):
		return nil, errors.New("its layout must never change: proxies of other versions read it")
	}
	made, err := newUnpinned(spec)
	if err != nil || old.Type() != spec.Type || !isCopied(spec.Type) {
		return made, err
	}
	if err := copyEntries(old, made, keys, values); err != nil {
		return nil, errors.Join(err, made.Close())
	}
	slog.Info("a map of another weir version is taken over", "map", spec.Name)
	return made, nil
}

// isCopied tells which maps' entries a process can read and write. What is in
// the others is of sockets and of the moment: listeners are put there again
// with their pods.
func isCopied(t ebpf.MapType) bool {
	switch t {
	case ebpf.Hash, ebpf.LRUHash, ebpf.Array, ebpf.PerCPUArray, ebpf.LPMTrie:
		return true
	}
	return false
}

// typesOf are those that the kernel keeps with a map; nil if it keeps none.
func typesOf(m *ebpf.Map) (*btf.Spec, error) {
	info, err := m.Info()
	if err != nil {
		return nil, err
	}
	id, ok := info.BTFID()
	if !ok || id == 0 {
		return nil, nil
	}
	handle, err := btf.NewHandleFromID(id)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	return handle.Spec(nil)
}

// layouts are those of the pinned map and of the one wanted.
type layouts struct{ old, new layout }

func (l layouts) areSame() bool { return l.old.same(l.new) }

func bothLayouts(types *btf.Spec, t btf.Type, oldSize, newSize uint32) (both layouts, err error) {
	both = layouts{old: layout{size: int(oldSize)}, new: layout{size: int(newSize)}}
	if types == nil || t == nil {
		return both, nil
	}
	if _, ok := btf.UnderlyingType(t).(*btf.Struct); !ok {
		return both, nil
	}
	var old *btf.Struct
	if err := types.TypeByName(t.TypeName(), &old); errors.Is(err, btf.ErrNotFound) {
		return both, nil
	} else if err != nil {
		return both, err
	}
	if both.old, err = layoutOf(old, oldSize); err != nil {
		return both, err
	}
	both.new, err = layoutOf(t, newSize)
	return both, err
}

func newUnpinned(spec *ebpf.MapSpec) (*ebpf.Map, error) {
	unpinned := spec.Copy()
	unpinned.Pinning = ebpf.PinNone
	return ebpf.NewMap(unpinned)
}

func copyEntries(from, to *ebpf.Map, keys, values layouts) error {
	if from.Type() == ebpf.PerCPUArray {
		return copyCounters(from, to)
	}
	var key, value []byte
	it := from.Iterate()
	for it.Next(&key, &value) {
		err := to.Put(keys.old.convert(key, keys.new), values.old.convert(value, values.new))
		if err != nil && !isBeyond(to, err) {
			return err
		}
	}
	return it.Err()
}

func copyCounters(from, to *ebpf.Map) error {
	if from.ValueSize() != 8 || to.ValueSize() != 8 {
		return nil // they begin at 0
	}
	for i := range min(from.MaxEntries(), to.MaxEntries()) {
		var perCPU []uint64
		if err := from.Lookup(i, &perCPU); err != nil {
			return err
		}
		if err := to.Put(i, perCPU); err != nil {
			return err
		}
	}
	return nil
}

// isBeyond is an index that a smaller array does not have.
func isBeyond(m *ebpf.Map, err error) bool {
	return m.Type() == ebpf.Array && errors.Is(err, unix.E2BIG)
}

// replacePins pins the maps that were made over those that they succeed. Until
// then an agent that dies changes nothing.
func (r *Redirect) replacePins(made []migrated) error {
	mine := r.maps()
	for _, it := range made {
		m, path := mine[it.name], filepath.Join(r.opts.Dir, it.name)
		next := path + "_new" // the file system allows no dots
		if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := pinCopy(m, next); err != nil {
			return fmt.Errorf("pin %s: %w", it.name, err)
		}
		if err := os.Rename(next, path); err != nil {
			return err
		}
	}
	return nil
}

// pinCopy pins another descriptor of m's: a map that is pinned by the library
// cannot be renamed over another.
func pinCopy(m *ebpf.Map, path string) error {
	other, err := m.Clone()
	if err != nil {
		return err
	}
	return errors.Join(other.Pin(path), other.Close())
}

func closeMigrated(made []migrated) {
	for _, it := range made {
		it.m.Close() // what was loaded has its own descriptors
	}
}
