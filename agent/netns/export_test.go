package netns

// For tests in package netns_test, which can use pods.
var WriteProc = writeProc

const FwmarkAccept = fwmarkAccept
