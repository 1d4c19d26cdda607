// Package callstats counts gRPC calls at the clusters that they go to:
// cluster.<name>.grpc.[<service>.<method>.]success, failure, total, one
// counter for each status, messages both ways and the upstream's time.
//
// The filters grpc_stats, grpc_web and grpc_http1_bridge ask a worker's
// [Table] for a call's [Stats] when it begins and count there.
//
// The contract that bites: methods are named by clients, so a table makes
// statistics for at most [MaxMethods] of them; calls of others are not counted.
package callstats
