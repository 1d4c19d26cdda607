// Package filterstate makes objects of the filter state by configuration: the
// FilterStateValue messages of the filters set_filter_state for requests and
// for connections. They are compiled on main by [Compile] and set on workers
// by [Values.Set].
package filterstate
