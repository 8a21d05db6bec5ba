package rule

import (
	"slices"
	"strings"

	"mqttdoctor/diag"
)

// interceptor is a product that opens TLS on its way, and how its certificates name their issuer.
type interceptor struct {
	product string
	issuers []string // parts of an issuer's name, in lower case
	source  string
}

// interceptors are data. What a product lets its administrator name freely (Palo Alto, Check Point, squid, pfSense) has no
// entry: it is told by a certificate that it makes for a name that does not exist.
var interceptors = []interceptor{
	{"Fortinet FortiGate", []string{"o=fortinet", "cn=fortinet_ca", "fortigate ca"}, "https://docs.fortinet.com/document/fortigate/7.4.0/administration-guide/122078/deep-inspection"},
	{"Zscaler", []string{"zscaler"}, "https://help.zscaler.com/zia/about-tls/ssl-inspection"},
	{"Netskope", []string{"netskope", "goskope"}, "https://docs.netskope.com/en/certificates"},
	{"Cisco Umbrella", []string{"cisco umbrella"}, "https://docs.umbrella.com/deployment-umbrella/docs/rebrand-cisco-certificate-import-information"},
	{"Cloudflare Gateway", []string{"gateway ca - cloudflare managed"}, "https://developers.cloudflare.com/cloudflare-one/connections/connect-devices/user-side-certificates/"},
	{"Sophos", []string{"sophos ssl ca", "sophos web appliance", "sophos_ca", "securityappliance_ssl_ca"}, "https://docs.sophos.com/nsg/sophos-firewall/latest/help/en-us/webhelp/onlinehelp/"},
	{"Symantec ProxySG (Blue Coat)", []string{"blue coat", "bluecoat", "proxysg"}, "https://techdocs.broadcom.com/us/en/symantec-security-software/web-and-network-security/edge-swg.html"},
	{"SonicWall", []string{"sonicwall firewall dpi-ssl"}, "https://www.sonicwall.com/support/knowledge-base/dpi-ssl"},
	{"WatchGuard Firebox", []string{"fireware https proxy", "watchguard"}, "https://www.watchguard.com/help/docs/help-center/en-US/Content/en-US/Fireware/proxies/https/https_proxy_contentinspection_c.html"},
	{"Barracuda", []string{"barracuda"}, "https://campus.barracuda.com/product/cloudgenfirewall/doc/96026061/how-to-configure-tls-inspection"},
	{"Forcepoint", []string{"forcepoint", "websense"}, "https://www.websense.com/content/support/library/web/v85/wcg_help/ssl_root_ca.aspx"},
	{"McAfee / Skyhigh Web Gateway", []string{"mcafee web gateway", "skyhigh"}, "https://success.skyhighsecurity.com/"},
	{"Cisco Secure Web Appliance", []string{"ironport", "cisco web security"}, "https://www.cisco.com/c/en/us/support/security/web-security-appliance/series.html"},
	{"Untangle / Arista NG Firewall", []string{"untangle"}, "https://wiki.edge.arista.com/index.php/SSL_Inspector"},
	{"Smoothwall", []string{"smoothwall"}, "https://kb.smoothwall.com/"},
	{"Sangfor", []string{"sangfor"}, "https://knowledgebase.sangfor.com/"},
	{"Kaspersky", []string{"kaspersky anti-virus personal root", "kaspersky endpoint security personal root"}, "https://support.kaspersky.com/"},
	{"ESET", []string{"eset ssl filter ca"}, "https://help.eset.com/eis/16/en-US/idh_config_epfw_ssl.html"},
	{"Avast / AVG", []string{"avast web/mail shield", "avast! web/mail shield", "avg web/mail shield"}, "https://support.avast.com/"},
	{"Bitdefender", []string{"bitdefender personal ca"}, "https://www.bitdefender.com/consumer/support/"},
	{"Dr.Web", []string{"spider gate", "dr.web"}, "https://support.drweb.com/"},
	{"mitmproxy", []string{"cn=mitmproxy"}, "https://docs.mitmproxy.org/stable/concepts-certificates/"},
	{"Burp Suite", []string{"portswigger ca"}, "https://portswigger.net/burp/documentation/desktop/external-browser-config/certificate"},
	{"Charles", []string{"charles proxy ca", "charles proxy custom root"}, "https://www.charlesproxy.com/documentation/using-charles/ssl-certificates/"},
	{"Fiddler", []string{"do_not_trust_fiddlerroot"}, "https://docs.telerik.com/fiddler/configure-fiddler/tasks/decrypthttps"},
}

// interceptorOf finds the product whose name a served certificate bears as its issuer.
func interceptorOf(chain []diag.CertFact) (interceptor, bool) {
	for _, c := range chain {
		issuer := strings.ToLower(c.Issuer)
		for _, i := range interceptors {
			if slices.ContainsFunc(i.issuers, func(part string) bool { return strings.Contains(issuer, part) }) {
				return i, true
			}
		}
	}
	return interceptor{}, false
}

// minted is a certificate that was made on the spot for a name that does not exist.
func minted(v *diag.View, address string) (diag.Sight[*diag.Attempt], bool) {
	return first(diag.SeenBy[*diag.Attempt](v, checkInterception), func(a *diag.Attempt) bool {
		return a.Address == address && a.TLS != nil && a.TLS.Leaf() != nil && slices.Contains(a.TLS.Leaf().DNSNames, a.Label)
	})
}

func intercepted(v *diag.View) diag.Verdict {
	if none, ok := noChain(v); ok {
		return none
	}
	s, _, ok := faulty(v, func(h *diag.TLSHandshake) bool {
		_, made := minted(v, h.Address)
		_, known := interceptorOf(h.Chain)
		return made || known
	})
	if !ok {
		return diag.Excluded(diag.N("because.issuer_inspects_nothing", "issuer", judged(v)[0].Seen.Leaf().Issuer))
	}
	f := certFinding(v, s, diag.SeverityWarning)
	if untrusted(s.Seen) && !v.Target.TLS.Insecure {
		f.Severity = diag.SeverityCritical
	}
	f.Confidence = diag.Likely // a name is only a name
	if product, known := interceptorOf(s.Seen.Chain); known {
		f.Args["product"] = product.product
	}
	if a, made := minted(v, s.Seen.Address); made {
		f.Confidence, f.Variant = diag.Certain, "minted"
		f.Args["value"] = a.Seen.Label
		f.Evidence = append(f.Evidence, a.Step.Evidence...)
	}
	return diag.Holds(f)
}
