/** What an API can do, by id (solver/pb/caps.go and frontend/gateway/pb/caps.go upstream). */
export interface ApiCap {
  readonly id: string;
  readonly enabled: boolean;
  readonly deprecated?: boolean;
}

const words = (text: string): ApiCap[] =>
  text
    .trim()
    .split(/\s+/)
    .map((id) => ({ id, enabled: true }));

/** Capabilities of definitions. `soruce` is how the wire spells it. */
export const LLB_CAPS: readonly ApiCap[] = words(`
  source.image source.image.resolvemode source.image.layerlimit source.image.checksum
  source.local source.local.unique source.local.sessionid source.local.includepatterns source.local.followpaths
  source.local.excludepatterns source.local.sharedkeyhint source.local.differ source.local.metadatatransfer
  source.git source.git.keepgitdir source.git.fullurl source.git.httpauth source.git.knownsshhosts source.git.mountsshsock
  source.git.subdir source.git.checksum source.git.skipsubmodules source.git.signatureverify source.git.mtime
  source.git.fetchbycommit source.git.bundle source.git.checkoutbundle
  source.http source.http.checksum source.http.perm source.http.auth soruce.http.uidgid source.http.header source.http.signatureverify
  source.imageblob source.ocilayout source.buildop.llbfilename
  exec.meta.base exec.meta.cgroup.parent exec.meta.proxyenv exec.meta.network exec.meta.network.proxy exec.meta.setsdefaultpath
  exec.meta.security exec.meta.security.devices.v1 exec.meta.ulimit exec.meta.cdi exec.meta.linux.resources
  exec.mount.bind exec.mount.bind.readwrite-nooutput exec.mount.cache exec.mount.cache.sharing exec.mount.selector exec.mount.tmpfs
  exec.mount.tmpfs.size exec.mount.secret exec.mount.ssh exec.mount.cache.content exec.cgroup exec.secretenv exec.validexitcode
  file.base file.rm.wildcard file.rm.nofollowsymlink file.copy.includeexcludepatterns file.copy.requiredpaths
  file.copy.alwaysreplaceexistingdestpaths file.symlink.create
  constraints platform meta.ignorecache meta.description meta.exportcache
  cache.gha cache.s3 cache.azblob mergeop diffop passthroughop
  exporter.image.annotations exporter.image.attestations exporter.sourcedateepoch exporter.multiple exporter.session
  source.policy source.policy.session gc.freespacefilter history.filter`);

/** Capabilities of the gateway that frontends speak to. */
export const FRONTEND_CAPS: readonly ApiCap[] = words(`
  solve.base solve.inlinereturn resolveimage resolveimage.resolvemode readfile return returnmap readdir statfile importcaches
  proto.refarray reference.output frontend.inputs gateway.solve.metadata gateway.exec gateway.exec.extrahosts
  gateway.exec.secretenv gateway.exec.signals gateway.exec.filesystem frontend.caps gateway.solve.evaluate gateway.evaluate
  gateway.warnings reference.attestations source.metaresolver source.metaresolver.image.attestations
  source.metaresolver.http.checksumrequest`).map((cap) =>
  cap.id === 'solve.inlinereturn' ? { ...cap, deprecated: true } : cap,
);

const KNOWN = new Set(LLB_CAPS.map((c) => c.id));

export function isKnownLlbCap(id: string): boolean {
  return KNOWN.has(id);
}
