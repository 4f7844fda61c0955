public import ArgumentParser
public import ParleyCluster

extension ClusterSettings.Store: ExpressibleByArgument {}
extension ClusterSettings.Feed: ExpressibleByArgument {}
