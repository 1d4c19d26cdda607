// Package overload watches how loaded the proxy is, and says what it should
// not do any more.
//
// What comes in: a bootstrap's overload_manager ([New]); resource monitors
// are asked every refresh_interval, on a goroutine ([Manager.Run]). What goes
// out: the state of the actions, which listeners and connection managers ask
// for on their workers.
//
// Who calls it: proxy/server makes and runs it; listeners ask whether to
// accept connections, connection managers whether to take requests and keep
// connections.
//
// The contract that bites: asking is one atomic load, and a state is up to a
// refresh interval old. A nil Manager is never overloaded.
package overload
