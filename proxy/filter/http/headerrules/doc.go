// Package headerrules decides which headers an external service may change:
// envoy.config.common.mutation_rules.v3.HeaderMutationRules compiled. ext_authz
// and ext_proc ask it for each change, on workers.
package headerrules
