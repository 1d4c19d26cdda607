// Package tokenbucket is token buckets that all workers share: a bucket holds
// so many tokens, fills steadily, and gives one to each who may go on. Rate
// limits of requests and connections are made of them. A TokenBucket protobuf
// goes into [Compile] on main; Take is one atomic exchange.
package tokenbucket
