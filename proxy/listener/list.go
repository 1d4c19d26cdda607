package listener

// links are embedded by what lies in a list.
type links[T any] struct{ before, after *T }

func (l *links[T]) inList() *links[T] { return l }

// linked is a pointer to a T that embeds its links.
type linked[T any] interface {
	*T
	inList() *links[T]
}

// list holds what a listener has, in no order, without memory of its own.
type list[T any, P linked[T]] struct{ first P }

func (l *list[T, P]) add(x P) {
	x.inList().after = l.first
	if l.first != nil {
		l.first.inList().before = x
	}
	l.first = x
}

func (l *list[T, P]) remove(x P) {
	at := x.inList()
	if at.before == nil {
		l.first = at.after
	} else {
		P(at.before).inList().after = at.after
	}
	if at.after != nil {
		P(at.after).inList().before = at.before
	}
}

// each calls f, which may take its argument out: its links outlive that.
func (l *list[T, P]) each(f func(P)) {
	for x := l.first; x != nil; x = x.inList().after {
		f(x)
	}
}
