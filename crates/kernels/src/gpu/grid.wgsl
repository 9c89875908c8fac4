// Position of a workgroup in a launch of any size: beyond 65 535 groups a launch is a grid of rows of groups.
fn position(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.x + group.y * groups.x;
}
