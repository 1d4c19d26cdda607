package stats

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

type kind uint8

const (
	kindCounter kind = iota
	kindGauge
	kindHistogram
	kindCodes
	kindText
)

var kinds = map[reflect.Type]kind{
	reflect.TypeFor[Counter]():   kindCounter,
	reflect.TypeFor[Gauge]():     kindGauge,
	reflect.TypeFor[Histogram](): kindHistogram,
	reflect.TypeFor[Codes]():     kindCodes,
	reflect.TypeFor[Text]():      kindText,
}

// layout is where a struct type keeps its statistics: found once a type.
type layout struct {
	name    string // of the type, for messages
	numbers []statField
	hists   []statField
	codes   []statField
	texts   []statField
	zeros   []number // the numbers, as nothing has counted yet
	idle    []number // what a group shows that nothing has counted in
}

type statField struct {
	name      string
	kind      kind
	offset    uintptr
	omitEmpty bool
}

var layouts sync.Map // reflect.Type → *layout; a cache, the same for all stores

func layoutOf(t reflect.Type) *layout {
	if l, ok := layouts.Load(t); ok {
		return l.(*layout)
	}
	l := &layout{name: t.String()}
	l.add(t, 0, "", false)
	for _, fields := range [][]statField{l.numbers, l.hists, l.codes, l.texts} {
		slices.SortFunc(fields, func(a, b statField) int { return cmp.Compare(a.name, b.name) })
	}
	for _, f := range l.numbers {
		l.zeros = append(l.zeros, number{name: f.name, gauge: f.kind == kindGauge, omitEmpty: f.omitEmpty})
	}
	l.idle = addUp(l.appendCompleted(slices.DeleteFunc(slices.Clone(l.zeros), number.omitted)))
	actual, _ := layouts.LoadOrStore(t, l)
	return actual.(*layout)
}

// add walks a struct; a nested struct's tag is a prefix of its fields' names,
// and its omitempty is theirs. A field that can't be counted is a programming error, hence the panics.
func (l *layout) add(t reflect.Type, base uintptr, prefix string, omitEmpty bool) {
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("stats: %s is not a struct", t))
	}
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("stat")
		name, option, _ := strings.Cut(tag, ",")
		k, known := kinds[f.Type]
		switch {
		case option != "" && option != "omitempty":
			panic(fmt.Sprintf("stats: %s.%s: unknown option %q", t, f.Name, option))
		case known && !tagged:
			panic(fmt.Sprintf("stats: %s.%s has no `stat` tag", t, f.Name))
		case !known && (tagged || f.Anonymous):
			l.add(f.Type, base+f.Offset, prefix+name, omitEmpty || option == "omitempty")
			continue
		case !known:
			continue // the struct's own bookkeeping
		}
		sf := statField{prefix + name, k, base + f.Offset, omitEmpty || option == "omitempty"}
		switch k {
		case kindCounter, kindGauge:
			l.numbers = append(l.numbers, sf)
		case kindHistogram:
			l.hists = append(l.hists, sf)
		case kindCodes:
			l.codes = append(l.codes, sf)
		case kindText:
			l.texts = append(l.texts, sf)
		}
	}
}

// appendCompleted adds the sums over the codes that Envoy shows before the
// first response: of the plain counters, not of "external." and such.
func (l *layout) appendCompleted(dst []number) []number {
	for _, f := range l.codes {
		if !strings.Contains(f.name, ".") {
			dst = append(dst, number{name: f.name + "completed"})
		}
	}
	return dst
}
