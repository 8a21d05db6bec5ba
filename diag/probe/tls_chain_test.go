package probe_test

import (
	"crypto/x509"
	"testing"

	"mqttdoctor/diag"
	"mqttdoctor/diag/diagtest"
)

// TestTLSChains is about chains whose signatures hold and that clients refuse all the same, or seem to be broken and are not.
func TestTLSChains(t *testing.T) {
	t.Parallel()
	clientsOnly := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
	forExampleCom := func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.com"}
	}
	noneBelow := func(c *x509.Certificate) { c.MaxPathLenZero = true }
	var noParent *diagtest.CA
	for _, c := range []tlsCase{
		{name: "an authority for client certificates issued it", root: "tls.key_usage", check: variant("issuer"),
			broken: func(t *testing.T) diag.TargetInput {
				root := diagtest.NewCA(t, "Root")
				return brokerWith(t, root, root.Restricted(t, "Devices", clientsOnly).Issue(t, diagtest.CertOptions{}))
			}},
		{name: "an authority for servers and clients issued it", root: "",
			broken: func(t *testing.T) diag.TargetInput {
				root := diagtest.NewCA(t, "Root")
				return brokerWith(t, root, root.Restricted(t, "All", func(c *x509.Certificate) {
					c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
				}).Issue(t, diagtest.CertOptions{}))
			}},
		{name: "the authority is for other names", root: "tls.wrong_ca", check: variant("objection"),
			broken: func(t *testing.T) diag.TargetInput {
				root := noParent.Restricted(t, "Root", forExampleCom)
				return byName(brokerWith(t, root, root.Issue(t, diagtest.CertOptions{Names: []string{"localhost"}})))
			}},
		{name: "the authority may have none below it", root: "tls.wrong_ca", check: variant("objection"),
			broken: func(t *testing.T) diag.TargetInput {
				root := noParent.Restricted(t, "Root", noneBelow)
				return brokerWith(t, root, root.Intermediate(t, "Below").Issue(t, diagtest.CertOptions{}))
			}},
		{name: "the authority may have none below it, and has none", root: "",
			broken: func(t *testing.T) diag.TargetInput {
				root := noParent.Restricted(t, "Root", noneBelow)
				return brokerWith(t, root, root.Issue(t, diagtest.CertOptions{}))
			}},
		{name: "leaf alone, its issuer is called an intermediate, the root is given", root: "tls.incomplete_chain", check: variant("by_name"),
			broken: func(t *testing.T) diag.TargetInput {
				root := diagtest.NewCA(t, "Acme Root CA")
				return brokerWith(t, root, root.Intermediate(t, "Acme Intermediate CA 1").Issue(t, diagtest.CertOptions{OmitIntermediate: true}))
			}},
		{name: "leaf and root, the intermediate between them left out", root: "tls.incomplete_chain", check: variant("gap"),
			broken: func(t *testing.T) diag.TargetInput {
				root := diagtest.NewCA(t, "Acme Root CA")
				leaf := root.Intermediate(t, "Acme Devices").Issue(t, diagtest.CertOptions{OmitIntermediate: true})
				leaf.TLS.Certificate = append(leaf.TLS.Certificate, root.Cert.Raw)
				return brokerWith(t, root, leaf)
			}},
		{name: "leaf alone, another root is given", root: "tls.wrong_ca", check: variant("open_end"),
			broken: func(t *testing.T) diag.TargetInput {
				return brokerWith(t, diagtest.NewCA(t, "Other Root CA"), diagtest.NewCA(t, "Acme Root CA").Issue(t, diagtest.CertOptions{}))
			}},
		{name: "authority and broker bear one name, CA not given", root: "tls.unknown_ca",
			broken: func(t *testing.T) diag.TargetInput {
				return brokerWith(t, nil, noParent.Restricted(t, "localhost", func(c *x509.Certificate) { c.Subject.Organization = nil }).Issue(t, diagtest.CertOptions{}))
			}},
		{name: "authority and broker bear one name, CA given", root: "",
			broken: func(t *testing.T) diag.TargetInput {
				ca := noParent.Restricted(t, "localhost", func(c *x509.Certificate) { c.Subject.Organization = nil })
				return brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{}))
			}},
		{name: "key of the certificate", root: "",
			broken: func(t *testing.T) diag.TargetInput {
				ca := diagtest.NewCA(t, "Root")
				return withClientCert(brokerWith(t, ca, ca.Issue(t, diagtest.CertOptions{}), diagtest.ClientCertRequired(ca)), ca.Issue(t, diagtest.CertOptions{}))
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}
